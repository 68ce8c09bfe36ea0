// Moves a visit on the schedule by drag or by keyboard, and says before it is dropped what that would break.
// The server judges: what is free is posted to the visit's own form, anything else opens that form with the reasons.
const board = document.querySelector("[data-board]");
const says = document.querySelector("[data-says]");
const form = document.querySelector("[data-move]");
const tracks = [...document.querySelectorAll("[data-column]")];
const hint = "Arrow keys move it, Enter drops it, Escape leaves it.";
let held; // the visit that is being moved: where it is, where it was, and what the server has said of that

const step = Number(board?.dataset.step);
const first = Number(board?.dataset.first) * 60;
const last = first + Number(board?.dataset.hours) * 60;
const pixels = (track) => track.getBoundingClientRect().height / (last - first);
const instant = () => `${new Date(Date.parse(held.track.dataset.start) + (held.at - first) * 60_000).toISOString().slice(0, 19)}Z`;
const clock = (at) => `${String(Math.floor(at / 60)).padStart(2, "0")}:${String(at % 60).padStart(2, "0")}`;

function say(text, broken) {
  says.textContent = text;
  says.classList.toggle("broken", broken);
}

function take(link) {
  const item = link.closest("li");
  const track = link.closest("[data-column]");
  held = { link, item, track, at: Number(link.dataset.at), from: { parent: item.parentElement, after: item.nextElementSibling } };
  item.classList.add("moving");
  say(`${link.dataset.visit} picked up at ${clock(held.at)}, ${track.dataset.name}. ${hint}`, false);
}

function leave(text) {
  const { item, link, from, track } = held;
  held.asked?.abort();
  clearTimeout(held.soon);
  held = undefined;
  item.classList.remove("moving");
  item.style.removeProperty("top");
  track.classList.remove("target");
  link.classList.remove("broken");
  if (from.parent !== item.parentElement) from.parent.insertBefore(item, from.after);
  link.focus();
  say(text, false);
}

// Shows the visit there, and asks what that would break.
function put(track, at) {
  at = Math.max(first, Math.min(at, last - 5));
  if (track === held.track && at === held.at && held.answer) return;
  if (track !== held.track) {
    held.track.classList.remove("target");
    track.querySelector("ol").append(held.item);
  }
  track.classList.add("target");
  Object.assign(held, { track, at, answer: undefined, moved: true });
  held.item.style.setProperty("top", `${(at - first) * pixels(track)}px`);
  held.asked?.abort();
  clearTimeout(held.soon);
  const mine = held;
  held.answered = new Promise((resolve) => {
    held.soon = setTimeout(() => resolve(ask(mine)), 120);
  });
}

async function ask(mine) {
  const where = `${clock(mine.at)}, ${mine.track.dataset.name}`;
  const take_ = `${instant()} ${mine.track.dataset.who}`;
  mine.asked = new AbortController();
  try {
    const answer = await fetch(`${mine.link.dataset.to}ask/?${new URLSearchParams({ take: take_ })}`, { signal: mine.asked.signal });
    if (!answer.ok) throw new Error(answer.status);
    mine.answer = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") return;
    mine.answer = { free: false, says: "What it would break cannot be looked up just now. Enter opens the form." };
  }
  if (mine !== held) return;
  mine.link.classList.toggle("broken", !mine.answer.free);
  say(`${where}: ${mine.answer.says}${mine.pointer ? "" : ` ${hint}`}`, !mine.answer.free);
}

async function drop() {
  const mine = held;
  if (!mine.moved) return leave("Left where it was.");
  const wanted = `${instant()} ${mine.track.dataset.who}`;
  while (mine === held && !mine.answer) {
    const waiting = mine.answered;
    await waiting;
    if (waiting === mine.answered && !mine.answer) break;
  }
  if (mine !== held) return undefined;
  if (!mine.answer?.free) return location.assign(`${mine.link.dataset.to}?${new URLSearchParams({ take: wanted })}`);
  say(`Moving ${mine.link.dataset.visit} ...`, false);
  form.action = mine.link.dataset.to;
  form.elements._shown.value = mine.link.dataset.shown;
  form.elements.take.value = wanted;
  return form.submit();
}

function press(event) {
  const link = event.target.closest?.("[data-visit]");
  if (!held) {
    if (!link || event.key.toLowerCase() !== "m" || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    return take(link);
  }
  const by = event.shiftKey ? 5 : step;
  const up = held.at % by || by;
  const beside = tracks.indexOf(held.track);
  const act = {
    ArrowUp: () => put(held.track, held.at - up),
    ArrowDown: () => put(held.track, held.at + (by - (held.at % by))),
    ArrowLeft: () => put(tracks[Math.max(beside - 1, 0)], held.at),
    ArrowRight: () => put(tracks[Math.min(beside + 1, tracks.length - 1)], held.at),
    Enter: drop,
    Escape: () => leave("Left where it was."),
    Tab: () => leave("Left where it was."),
  }[event.key];
  if (!act) return;
  if (event.key !== "Tab") event.preventDefault();
  act();
  held?.link.focus({ preventScroll: true });
  held?.item.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function grab(event) {
  const link = event.target.closest("[data-visit]");
  if (!link || event.button || held || event.pointerType === "touch") return;
  const start = { x: event.clientX, y: event.clientY, at: Number(link.dataset.at) };
  const move = (moved) => {
    if (!held && Math.hypot(moved.clientX - start.x, moved.clientY - start.y) < 6) return;
    if (!held) {
      take(link);
      held.pointer = true;
    }
    const under = tracks.find((track) => {
      const box = track.getBoundingClientRect();
      return moved.clientX >= box.left && moved.clientX < box.right;
    });
    const at = start.at + (moved.clientY - start.y) / pixels(held.track);
    put(under ?? held.track, Math.round(at / step) * step);
  };
  const end = (event_) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
    if (!held?.pointer) return;
    // The click that follows a drag opens no visit.
    addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true });
    if (event_.type === "pointercancel") leave("Left where it was.");
    else drop();
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
}

if (board) {
  board.addEventListener("keydown", press);
  board.addEventListener("pointerdown", grab);
  board.addEventListener("dragstart", (event) => event.preventDefault());
  // Back from the form by the browser's button, everything is where it was.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}
