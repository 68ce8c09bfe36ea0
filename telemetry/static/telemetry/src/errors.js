// Errors no code caught.
import { record } from "./page.js";

const MOST = 10;
const seen = new Set();

// The same event is kept once per page view; the server decides what groups with what.
const once = (kind, event) => {
  const key = JSON.stringify(event);
  if (seen.size < MOST && !seen.has(key)) {
    seen.add(key);
    record(kind, event);
  }
};

const report = (error, message, file, line, column) => once("errors", {
  type: (error?.name || "Error") + "",
  message: ((error?.message ?? message) + "").slice(0, 300),
  stack: ((error?.stack || "") + "").slice(0, 3000),
  file, line, column,
});

export const watchErrors = () => {
  addEventListener("error", (event) => report(event.error, event.message, event.filename, event.lineno, event.colno));
  addEventListener("unhandledrejection", ({ reason }) => report(reason, reason));
};
