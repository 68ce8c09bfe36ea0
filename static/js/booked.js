// The booking stands, so what was typed for it is no longer kept in this tab.
try {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith("draft:")) sessionStorage.removeItem(key);
} catch {
  // A browser that forbids the store kept nothing in it.
}
