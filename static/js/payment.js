// Counts the minutes down in which the time is kept, and shows the page again when they are over.
const until = document.querySelector("[data-until]");
const left = document.querySelector("[data-left]");

function show() {
  const minutes = Math.ceil((Date.parse(until.dateTime) - Date.now()) / 60_000);
  if (minutes <= 0) location.replace(location.pathname);
  else left.textContent = ` (${minutes} ${minutes === 1 ? "minute" : "minutes"} left)`;
}

if (until && left) {
  show();
  setInterval(show, 10_000);
}
// Back from Stripe's page by the browser's button, what is shown may be old.
addEventListener("pageshow", (event) => event.persisted && location.reload());
