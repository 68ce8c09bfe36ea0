"""How well recordings are diagnosed, beside a guess at random and the largest robust z-score."""

import bisect
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.drills.recording import Judgement, Truth, read, replay
from telemetry.diagnosis.model import Incident

RECORDINGS = Path(__file__).resolve().parent / "recordings"
AFTER = 30.0
"""Seconds after a fault in which what is said still belongs to it; what is said later is a false alarm."""
BEFORE, DURING = 60, 20
"""Seconds that the z-score calls healthy, and in which it looks for the largest."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one drill. Seconds; `after` and `off` have one value for each fault that was diagnosed."""

    play: str
    group: str
    first: bool
    """Symptom, cause and component are right, of every fault, and nothing else is blamed."""
    third: bool
    """They are right in one of the first three incidents."""
    after: list[float]
    off: list[float]
    """Start named less start."""
    said: list[str]
    guess: float
    """The chance that a guess at random names the cause."""
    z_score: bool
    """Whether the largest robust z-score does."""


@dataclass(frozen=True, slots=True)
class Score:
    """Of one or more sessions."""

    results: list[Result]
    false_alarms: list[str]
    healthy: float
    """Seconds in which nothing was done to the site."""


def score(file: Path) -> Score:
    """Judge a recorded session again. Raises what `read` does."""
    judgements, truths = read(file)
    plays: dict[str, list[Truth]] = defaultdict(list)
    for truth in truths:
        plays[truth.play].append(truth)
    said = list(replay(judgements))
    series, times = _series(judgements), [each.at for each in judgements]
    results, claimed = [], set()
    starts = [of_play[0].start for of_play in plays.values()]
    for (play, of_play), following in zip(plays.items(), [*starts[1:], times[-1] + 1], strict=True):
        start, until = of_play[0].start, min(of_play[0].end + AFTER, following)
        found = [each for each in said if start <= each.opened_at < until and not _ambient(each, of_play)]
        claimed |= {each.id for each in found}
        normal = slice(bisect.bisect(times, start - BEFORE), bisect.bisect(times, start))
        fault = slice(bisect.bisect(times, start), bisect.bisect(times, start + DURING))
        results.append(_result(play, of_play, found, _ranked(series, normal, fault)))
    false = [each for each in said if each.id not in claimed and not _ambient(each, [])]
    broken = sum(of_play[0].end - of_play[0].start + AFTER for of_play in plays.values())
    healthy = max(times[-1] - times[0] - broken, 0.0)
    return Score(results, [each.sentence for each in false], healthy)


def _ambient(incident: Incident, truths: Iterable[Truth]) -> bool:
    """Whether it says that other programs took the processors: on a shared machine that is so, and no false alarm."""
    return incident.cause.kind == "processor" and not any("processor" in truth.kinds for truth in truths)


def _result(play: str, truths: list[Truth], said: list[Incident], ranked: list[tuple[str, str]]) -> Result:
    matched = [next((each for each in said if truth.matches(each)), None) for truth in truths]
    right = [(truth, each) for truth, each in zip(truths, matched, strict=True) if each is not None]
    wrong = [each for each in said if not any(truth.matches(each) for truth in truths)]
    hits = [[_names(truth, *each) for each in ranked] for truth in truths]
    return Result(
        play=play,
        group=truths[0].group,
        first=len(right) == len(truths) and not wrong,
        third=all(any(truth.matches(each) for each in said[:3]) for truth in truths),
        after=[each.opened_at - truth.start for truth, each in right],
        off=[each.started_at - truth.start for truth, each in right],
        said=[each.sentence for each in said],
        guess=statistics.fmean(sum(each) / max(len(each), 1) for each in hits),
        z_score=all(any(each[: len(truths)]) for each in hits),
    )


def _names(truth: Truth, kind: str, component: str) -> bool:
    kinds = {*truth.kinds, *(["query"] if "lock" in truth.kinds else [])}
    return kind in kinds and truth.names(component)


def _series(judgements: Sequence[Judgement]) -> dict[tuple[str, str], list[float]]:
    """Everything that the looks count, second by second, by kind and component."""
    found: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * len(judgements))
    seen: dict[tuple[str, int], float] = {}
    for index, judgement in enumerate(judgements):
        for look in judgement.looks:
            seen[look.process, look.pid] = look.at
            found["processor", "the host"][index] = look.host_cpu
            found["database", look.database][index] = float(look.database not in ("ok", "unknown"))
            for name, state in look.facts.items():
                found["dependency", name][index] = float(state == "degraded")
            for name, route in look.routes.items():
                found["requests", "requests"][index] += route.begun
                for activity, spent in route.spent.items():
                    found[activity.kind, f"{activity.name} {name}"][index] += spent.seconds
                for error, number in route.errors.items():
                    found["error", f"{error.partition(':')[2]} {name}"][index] += number
        for (process, _), at in seen.items():
            found["process", process][index] = max(found["process", process][index], judgement.at - at)
    return found


def _ranked(series: dict[tuple[str, str], list[float]], normal: slice, fault: slice) -> list[tuple[str, str]]:
    """The series with the largest robust z-score first, as BARO ranks them: by median and interquartile range."""
    scores = {}
    for name, values in series.items():
        usual, now = values[normal], values[fault]
        if len(usual) < 4 or not now:
            continue
        low, middle, high = statistics.quantiles(usual, n=4)
        scores[name] = max(abs(value - middle) for value in now) / (high - low or 1.0)
    return sorted((name for name, z in scores.items() if z > 0), key=lambda name: -scores[name])


def table(scores: Iterable[Score]) -> str:
    """Per class and overall, in Markdown. Of seconds, the median and the most."""
    scores = list(scores)
    results = [each for score in scores for each in score.results]
    groups = sorted({each.group for each in results})
    rows = [_row(group, [each for each in results if each.group == group]) for group in groups]
    hours = sum(score.healthy for score in scores) / 3600
    alarms = sum(len(score.false_alarms) for score in scores)
    head = "| class | plays | right at first | among three | seconds to tell | start off by | guess | z-score |"
    lines = [head, "|---" * 8 + "|", *rows, _row("**all**", results)]
    return "\n".join(lines) + f"\n\n{alarms} false alarms in {hours:.2f} healthy hours.\n"


def _row(name: str, results: Sequence[Result]) -> str:
    after = sorted(seconds for each in results for seconds in each.after)
    off = sorted(abs(seconds) for each in results for seconds in each.off)
    cells = (
        name,
        str(len(results)),
        f"{share(results):.0%}",
        f"{sum(each.third for each in results) / len(results):.0%}",
        f"{statistics.median(after):.0f}, {after[-1]:.0f}" if after else "–",
        f"{statistics.median(off):.0f}, {off[-1]:.0f}" if off else "–",
        f"{statistics.fmean(each.guess for each in results):.0%}",
        f"{sum(each.z_score for each in results) / len(results):.0%}",
    )
    return f"| {' | '.join(cells)} |"


def share(results: Sequence[Result]) -> float:
    """Of the plays that are right at first."""
    return sum(each.first for each in results) / len(results)
