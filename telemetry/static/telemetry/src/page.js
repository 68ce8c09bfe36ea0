// What the server told this page (data-* of the script tag), and what happened on it until the next send.
export const settings = document.currentScript.dataset;

// UTF-8 takes at most 3 bytes for each of these, and sendBeacon takes at most 65,536 bytes.
const ROOM = 18000;

let records, room;

export const start = () => {
  records = null;
  room = ROOM;
};

// Keeps one event in `kind`, with the time since navigation in ms; what does not fit any more is only counted.
export const record = (kind, event) => {
  event.at ??= performance.now();
  const size = JSON.stringify(event).length;
  records ??= {};
  if (size > room) {
    records.dropped = (records.dropped || 0) + 1;
  } else {
    room -= size;
    (records[kind] ??= []).push(event);
  }
};

export const take = () => {
  const taken = records;
  start();
  return taken;
};

start();
