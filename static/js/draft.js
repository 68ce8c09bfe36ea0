// Keeps what is typed while somebody looks at other times in this tab, and stops an impatient second tap.
const form = document.querySelector("form[data-draft]");
const key = form && `draft:${form.dataset.draft}`;
const kept = () => [...form.elements].filter((field) => field.matches("input:not([type=hidden], [type=radio], [type=checkbox], [type=file]), textarea"));

try {
  const draft = JSON.parse(sessionStorage.getItem(key) ?? "{}");
  for (const field of kept()) field.value ||= draft[field.name] ?? "";
} catch {
  sessionStorage.removeItem(key);
}

form?.addEventListener("input", () => {
  try {
    sessionStorage.setItem(key, JSON.stringify(Object.fromEntries(kept().map((field) => [field.name, field.value]))));
  } catch {
    // A full or forbidden store: the form works without.
  }
});

form?.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-disabled", "true");
});
// Back from the next page, the form may be sent again.
addEventListener("pageshow", () => form && delete form.dataset.sent);
