// A handyman's day without a net: what is tapped is kept and sent later. Every form works without this script.
import { guard } from "../../telemetry/static/telemetry/src/boundary.js";
import { smaller } from "./crew/photos.js";
import { answers, dismiss, forget, put, send, waiting } from "./crew/outbox.js";

const STEPS = { on_the_way: "On the way", arrived: "There", done: "Done", no_show: "Nobody was in", could_not: "Could not" };
const WHY = {
  offline: "There is no net. What you tap is kept on this phone and sent later.",
  login: "Log in again, then it is sent.",
  refused: "Your account may not report. Call the office; it is kept on this phone.",
};

const trusted = globalThis.trustedTypes?.createPolicy("crew", { createScriptURL: (url) => url }) ?? { createScriptURL: (url) => url };

const board = document.querySelector("[data-board]");
const token = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value;
const line = (text, kind) => {
  const box = document.createElement("div");
  box.className = `notice ${kind}`;
  const said = document.createElement("p");
  said.textContent = text;
  box.append(said);
  return box;
};

// What was answered since the page before, and what still waits.
const draw = async (why) => {
  const [told, left] = await Promise.all([answers(), waiting()]);
  board.replaceChildren();
  for (const answer of told) {
    const box = line(answer.words ? `${answer.said} You wrote: “${answer.words}”` : answer.said, answer.good ? "good" : "bad");
    if (answer.good) await dismiss(answer.id);
    else {
      const button = document.createElement("button");
      button.className = "button quiet";
      button.textContent = "Got it";
      button.addEventListener("click", () => dismiss(answer.id).then(() => box.remove()));
      box.append(button);
    }
    board.append(box);
  }
  for (const { fields, url, at } of left) mark(url, fields.kind, at);
  const offline = why ?? (navigator.onLine ? "" : "offline");
  if (left.length || offline) {
    const photos = left.filter(({ photo }) => photo).length;
    const counts = [[left.length - photos, "report"], [photos, "photo"]].filter(([count]) => count);
    const count = left.length ? `${counts.map(([count, what]) => `${count} ${what}${count > 1 ? "s" : ""}`).join(" and ")} not sent yet. ` : "";
    board.append(line(count + (WHY[offline] ?? ""), ""));
  }
};

// The visit as it will be once the report has arrived.
const mark = (url, kind, at) => {
  const visit = document.querySelector(`[data-url="${url}"]`);
  if (!visit || !STEPS[kind]) return;
  visit.dataset.step = { done: "completed" }[kind] ?? kind;
  visit.querySelector(".state").textContent = `${STEPS[kind]} ${new Date(at).toLocaleTimeString([], { timeStyle: "short" })}, not sent yet`;
};

const deliver = async () => {
  const before = (await waiting()).length;
  const outcome = before ? await send(token()) : "sent";
  if (before && outcome === "sent") {
    navigator.serviceWorker?.controller?.postMessage("keep");
    location.reload(); // the day as the site has it, with what was answered on top
  } else await draw(outcome === "sent" ? undefined : outcome);
};

const back = async () => {
  await deliver();
  if (document.querySelector("[data-kept]")) location.assign("/crew/");
};

const tapped = async (event) => {
  const form = event.target.closest("form[data-tap]");
  if (!form) return;
  event.preventDefault();
  const { csrfmiddlewaretoken: _, photos: __, ...fields } = Object.fromEntries(new FormData(form, event.submitter));
  const at = new Date().toISOString();
  const url = new URL(form.action).pathname;
  if (fields.kind) await put({ url, fields: { ...fields, key: crypto.randomUUID(), at }, at });
  for (const file of form.elements.photos?.files ?? []) await put({ url: form.dataset.photos ?? url, fields: {}, photo: await smaller(file), at });
  form.reset();
  form.closest("details")?.removeAttribute("open");
  await draw();
  await deliver();
};

// Files beyond the limits are not kept for nothing: the site refuses them.
const chosen = ({ target }) => {
  if (target.type !== "file") return;
  const { most, mostBytes, tooMany, tooLarge } = target.dataset;
  const large = [...target.files].some((file) => file.size > mostBytes);
  target.setCustomValidity(large ? tooLarge : target.files.length > most ? tooMany : "");
  target.reportValidity();
};

// Ask the browser for a subscription, and let the form take it to the site.
const subscribe = async (event) => {
  const form = event.target;
  event.preventDefault();
  const { pushManager } = await navigator.serviceWorker.ready;
  const given = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: form.dataset.push }).catch(() => undefined);
  if (!given) return board.append(line("This browser does not allow notifications. Allow them in its settings.", "bad"));
  const { endpoint, keys } = given.toJSON();
  Object.assign(form.elements.endpoint, { value: endpoint });
  Object.assign(form.elements.p256dh, { value: keys.p256dh });
  Object.assign(form.elements.auth, { value: keys.auth });
  return form.submit();
};

// A phone that is logged out is notified no more.
const unsubscribe = async () => {
  const registration = await navigator.serviceWorker?.getRegistration("/crew/");
  const given = await registration?.pushManager?.getSubscription();
  if (!given) return;
  const body = new URLSearchParams({ action: "push_off", endpoint: given.endpoint });
  await fetch("/crew/phone/", { method: "POST", body, headers: { "X-CSRFToken": token() }, redirect: "manual" });
  await given.unsubscribe();
};

// Nothing of a customer's stays: the pages that were kept, and what waits once it is sent or given up.
const leave = async (event) => {
  event.preventDefault();
  await send(token()).catch(() => undefined);
  const left = (await waiting()).length;
  if (left && !confirm(`${left} of your reports and photos could not be sent. Log out and lose them?`)) return;
  await unsubscribe().catch(() => undefined);
  await Promise.all((await caches.keys()).map((name) => caches.delete(name)));
  await forget();
  event.target.submit();
};

if (board && globalThis.indexedDB && navigator.locks) {
  guard(document.querySelector("main"), (main, handler) => {
    main.addEventListener("submit", handler(tapped));
    main.addEventListener("change", handler(chosen));
    addEventListener("online", handler(back));
    addEventListener("offline", handler(() => draw()));
    addEventListener("visibilitychange", handler(() => document.visibilityState === "visible" && deliver()));
    document.querySelector("[data-push]")?.addEventListener("submit", handler(subscribe));
    document.querySelector(".log-out").addEventListener("submit", handler(leave));
    navigator.serviceWorker?.register(trusted.createScriptURL("/crew/worker.js")).catch(() => undefined);
    handler(deliver)();
  });
}
