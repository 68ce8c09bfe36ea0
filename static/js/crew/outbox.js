// What a handyman has tapped and the site has not yet taken: kept in IndexedDB, sent in order when there is a net. A report
// has `fields`, a photo its `photo`, each an entry of its own, so that a photo that is refused holds up nothing else.
// Each entry has a key of its own, so that one which was sent and not answered is sent again and counts once.
import { deleteDB, openDB } from "idb";

const NAME = "crew";

const open = () =>
  openDB(NAME, 1, {
    upgrade: (db) => {
      db.createObjectStore("outbox", { keyPath: "id", autoIncrement: true });
      db.createObjectStore("answers", { keyPath: "id", autoIncrement: true });
    },
  });

const using = async (use) => {
  const db = await open();
  try {
    return await use(db);
  } finally {
    db.close(); // or the database could not be deleted at log-out
  }
};

export const put = (entry) => using((db) => db.put("outbox", entry));
export const waiting = () => using((db) => db.getAll("outbox"));
export const answers = () => using((db) => db.getAll("answers"));
export const dismiss = (id) => using((db) => db.delete("answers", id));
export const forget = () => deleteDB(NAME);

// Take the answer, if it says anything, into the store and the entry out of it, in one transaction.
const settle = (entry, answer) =>
  using(async (db) => {
    const both = db.transaction(["outbox", "answers"], "readwrite");
    await Promise.all([both.objectStore("outbox").delete(entry.id), answer.said && both.objectStore("answers").put(answer), both.done]);
  });

const freshToken = async () => {
  const page = await fetch("/crew/", { redirect: "manual" });
  return (await page.text()).match(/name="csrfmiddlewaretoken" value="([^"]+)"/)?.[1];
};

const bodyOf = ({ fields, photo }) => {
  if (!photo) return new URLSearchParams(fields);
  const form = new FormData();
  form.append("photos", photo, "photo.jpg");
  return form;
};

const post = (entry, token) =>
  fetch(entry.url, {
    method: "POST",
    body: bodyOf(entry),
    headers: { Accept: "application/json", "X-CSRFToken": token ?? "" },
    redirect: "manual",
    signal: AbortSignal.timeout(entry.photo ? 60_000 : 15_000),
  });

// "sent" when nothing waits any more; else why something does: "offline", "login" or "refused".
const sendAll = async (token) => {
  for (const entry of await waiting()) {
    let answer;
    try {
      answer = await post(entry, token);
      if (answer.status === 403) answer = await post(entry, (token = await freshToken())); // of a page from before the login
    } catch {
      return "offline";
    }
    if (answer.type === "opaqueredirect") return "login";
    if (![200, 404, 409, 422].includes(answer.status)) return answer.status === 403 ? "refused" : "offline";
    const told = await answer.json().catch(() => ({ said: "This visit is not yours.", refused: "gone" }));
    const good = answer.status === 200;
    await settle(entry, { said: told.said, good, visit: entry.url, words: good ? "" : entry.fields.words || "" });
  }
  return "sent";
};

export const send = (token) => navigator.locks.request("crew-outbox", () => sendAll(token));
