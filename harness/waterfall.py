"""A picture of traces as a collector received them: an SVG with a bar for each span, below the one that caused it."""

from collections.abc import Sequence
from html import escape

from harness.peers.collector import Span

_ROW, _NAMES, _WIDTH = 18, 380, 1100
_COLOURS = {"server": "#1d4ed8", "client": "#b45309", "producer": "#7c3aed", "consumer": "#047857"}
_OTHER = "#64748b"


def drawn(traces: Sequence[Sequence[Span]], title: str) -> str:
    """The traces one below the other, each on a time axis of its own and its spans in the order of their start.

    `title` is what the picture shows, for those who cannot see it.
    """
    parts, top = list[str](), 10
    for spans in traces:
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        about = f"trace {spans[0].trace_id[:8]}…, {_duration(end - start)}"
        linked = sorted({trace_id[:8] for span in spans for trace_id, _ in span.links} - {spans[0].trace_id[:8]})
        about += f", continues {', '.join(f'{each}…' for each in linked)}" if linked else ""
        parts.append(f'<text x="8" y="{top + 13}" font-weight="bold">{escape(about)}</text>')
        top += _ROW + 2
        for depth, span in _in_order(spans):
            parts.append(_bar(span, depth, top, (span.start - start) / (end - start or 1), end - start))
            top += _ROW
        top += 14
    frame = f'viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" role="img"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {frame} font-family="system-ui, sans-serif" font-size="12">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{_WIDTH}" height="{top}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _in_order(spans: Sequence[Span]) -> list[tuple[int, Span]]:
    """Each span below its parent, with how deep it lies."""
    known = {span.span_id for span in spans}

    def below(parent: str, depth: int) -> list[tuple[int, Span]]:
        children = [span for span in spans if (span.parent_id if span.parent_id in known else "") == parent]
        children.sort(key=lambda span: span.start)
        return [row for span in children for row in [(depth, span), *below(span.span_id, depth + 1)]]

    return below("", 0)


def _bar(span: Span, depth: int, top: int, begins: float, total: float) -> str:
    room = _WIDTH - _NAMES - 90
    x, width = _NAMES + begins * room, max(2.0, (span.end - span.start) / (total or 1) * room)
    name = f'<text x="{8 + 12 * depth}" y="{top + 13}">{escape(span.name)}</text>'
    bar = f'<rect x="{x:.1f}" y="{top + 4}" width="{width:.1f}" height="{_ROW - 7}" rx="2" fill="{_colour(span)}"/>'
    return (
        name
        + bar
        + f'<text x="{x + width + 5:.1f}" y="{top + 13}" fill="#475569">{_duration(span.end - span.start)}</text>'
    )


def _colour(span: Span) -> str:
    return "#b91c1c" if span.failed else _COLOURS.get(span.kind, _OTHER)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
