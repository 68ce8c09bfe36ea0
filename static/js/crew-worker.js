// Keeps a handyman's today and tomorrow on his phone, each until that day is over, for when there is no net.
// A cache is named by the second (of the epoch) at which its day is over, and holds the day's page with what it needs.
const PREFIX = "crew-until-";
const TIMEOUT = 6_000; // ms; a net that takes longer is none

const until = (name) => Number(name.slice(PREFIX.length)) * 1000;

// The caches of days that are not over, the next first; the others are deleted.
const days = async () => {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX));
  await Promise.all(names.filter((name) => until(name) <= Date.now()).map((name) => caches.delete(name)));
  return names.filter((name) => until(name) > Date.now()).sort((one, other) => until(one) - until(other));
};

const forget = async () => {
  for (const name of await caches.keys()) await caches.delete(name);
};

// Fetch a day's page and what it needs, and keep them until the day is over; the address of the next day's page.
const keepOne = async (address) => {
  const page = await fetch(address, { redirect: "manual" });
  if (page.type === "opaqueredirect" || page.status === 403) return forget(); // logged out
  if (!page.ok) return undefined;
  const needed = new Set((await page.clone().text()).match(/\/static\/[^"')\s]+/g));
  const cache = await caches.open(PREFIX + page.headers.get("Day-Ends"));
  await cache.put(address, page.clone());
  await cache.addAll(needed);
  return page.headers.get("Day-Next");
};

let keptAt = 0;
const keep = async () => {
  keptAt = Date.now();
  await days();
  const next = await keepOne("/crew/kept/today/");
  if (next) await keepOne(next);
};

const within = (promise) => Promise.race([promise, new Promise((_, fail) => setTimeout(fail, TIMEOUT))]);

const kept = async (address) => {
  for (const name of await days()) {
    const found = await (await caches.open(name)).match(address, { ignoreVary: true });
    if (found) return found;
  }
  return undefined;
};

const today = async () => {
  const [name] = await days();
  const [page] = name ? await (await caches.open(name)).keys() : [];
  return page && kept(page.url);
};

const nothing = () =>
  new Response("<!doctype html><html lang=en><meta name=viewport content='width=device-width'><title>No net</title><h1>No net</h1><p>Nothing of today is kept on this phone. Try again where there is a net.", {
    status: 503,
    headers: { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'" },
  });

const page = async (event) => {
  try {
    const answer = await within(fetch(event.request));
    if (answer.type === "opaqueredirect") await forget();
    else if (answer.ok && Date.now() - keptAt > 30_000) event.waitUntil(keep().catch(() => undefined));
    return answer;
  } catch {
    return (await kept(event.request.url)) ?? (await today()) ?? nothing();
  }
};

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim().then(keep).catch(() => undefined)));
addEventListener("message", (event) => event.waitUntil(keep().catch(() => undefined)));
addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { pathname, origin } = new URL(url);
  if (method !== "GET" || origin !== location.origin) return;
  if (mode === "navigate" && pathname.startsWith("/crew/")) event.respondWith(page(event));
  else if (pathname.startsWith("/static/")) event.respondWith(kept(url).then((found) => found ?? fetch(event.request)));
});
addEventListener("push", (event) => {
  const { title, tag } = event.data.json();
  event.waitUntil(Promise.all([registration.showNotification(title, { tag }), keep().catch(() => undefined)]));
});
addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(clients.openWindow("/crew/"));
});
