// Keeps what is typed while somebody looks at other times in this tab, and stops an impatient second tap.
import { guard } from "../../telemetry/static/telemetry/src/boundary.js";

const form = document.querySelector("form[data-draft]");

// A store that is full, forbidden or garbled is none: the form works without.
const trying = (use) => {
  try {
    return use();
  } catch {
    return undefined;
  }
};

if (form) {
  guard(form, (element, handler) => {
    const key = `draft:${element.dataset.draft}`;
    const kept = () => [...element.elements].filter((field) => field.matches("input:not([type=hidden], [type=radio], [type=checkbox], [type=file]), textarea"));

    const draft = trying(() => JSON.parse(sessionStorage.getItem(key)));
    for (const field of kept()) if (typeof draft?.[field.name] == "string") field.value ||= draft[field.name];

    element.addEventListener("input", handler(() => {
      trying(() => sessionStorage.setItem(key, JSON.stringify(Object.fromEntries(kept().map((field) => [field.name, field.value])))));
    }));
    // Files beyond the limits are not sent for nothing: the server refuses them, the largest by hanging up.
    const files = element.querySelector("input[type=file][data-most]");
    const fits = () => {
      const chosen = [...files.files];
      const large = chosen.some((file) => file.size > files.dataset.mostBytes);
      files.setCustomValidity(large ? files.dataset.tooLarge : chosen.length > files.dataset.most ? files.dataset.tooMany : "");
      return files.reportValidity();
    };
    files?.addEventListener("change", handler(fits));

    element.addEventListener("submit", handler((event) => {
      if (files && !fits()) return event.preventDefault();
      if (element.dataset.sent) event.preventDefault();
      element.dataset.sent = "yes";
      event.submitter?.setAttribute("aria-disabled", "true");
    }));
    // Back from the next page, the form may be sent again.
    addEventListener("pageshow", handler(() => {
      delete element.dataset.sent;
      for (const button of element.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
    }));
  });
}
