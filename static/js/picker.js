// Swaps the week and its windows without a page load. Whenever anything goes wrong, the plain link is followed.
import { guard } from "../../telemetry/static/telemetry/src/boundary.js";

const picker = document.querySelector("[data-picker]");
const announce = document.querySelector("[data-announce]");
// Pages of this site alone are swapped in, so their HTML is trusted as it comes (trusted-types, docs/security.md).
const ours = globalThis.trustedTypes?.createPolicy("picker", { createHTML: (html) => html }) ?? { createHTML: (html) => html };
let latest = 0;

async function show(query, address, focus) {
  const turn = ++latest;
  let html;
  picker.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`${picker.dataset.picker}&${query}`, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(8000),
    });
    if (!answer.ok) throw new Error(answer.status);
    html = await answer.text();
    if (turn !== latest) return; // a later tap has overtaken this one
    picker.innerHTML = ours.createHTML(html);
    if (location.href !== address) history.pushState(null, "", address);
    const heading = picker.querySelector("#windows").textContent;
    announce.textContent = `${heading}: ${picker.querySelector("[data-summary]").textContent}`;
    (focus && picker.querySelector(focus))?.focus();
  } catch (error) {
    if (turn === latest) location.assign(address);
    if (html !== undefined) throw error; // our fault and not the network's: the boundary tells of it
  } finally {
    if (turn === latest) picker.removeAttribute("aria-busy");
  }
}

const follow = (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return undefined;
  event.preventDefault();
  return show(new URL(link.href).searchParams, link.href, link.dataset.id ? `[data-id="${link.dataset.id}"]` : "[aria-current]");
};

const submit = (event) => {
  const form = event.target.form ?? event.target;
  const query = new URLSearchParams(new FormData(form));
  event.preventDefault();
  return show(query, `${form.action}?${query}`, `#${event.target.id || "windows"}`);
};

if (picker) {
  guard(picker, (element, handler) => {
    element.addEventListener("click", handler(follow));
    element.addEventListener("submit", handler(submit));
    element.addEventListener("change", handler(submit));
    addEventListener("popstate", handler(() => show(new URLSearchParams(location.search), location.href)));
  });
}
