// Asks the browser for a passkey, and sends what it answers with the page's own form. Without this script, or where the
// browser has no passkeys, the forms stay hidden and the page tells what else there is.
const key = globalThis.PublicKeyCredential;
const known = key?.parseRequestOptionsFromJSON && key.parseCreationOptionsFromJSON && key.prototype.toJSON;

const PROBLEMS = {
  InvalidStateError: "There is a passkey for you on this device already.",
  NotAllowedError: "No passkey was chosen, or it took too long. Please try again.",
  SecurityError: "Browsers have no passkeys of this site at this address.",
};

const ask = async (form) => {
  const options = JSON.parse(form.dataset.options);
  const made = form.dataset.passkey === "add"
    ? navigator.credentials.create({ publicKey: key.parseCreationOptionsFromJSON(options) })
    : navigator.credentials.get({ publicKey: key.parseRequestOptionsFromJSON(options) });
  form.elements.passkey.value = JSON.stringify((await made).toJSON());
  form.submit();
};

for (const form of known ? document.querySelectorAll("form[data-passkey]") : []) {
  const problem = form.querySelector("[data-problem]");
  const begin = async (button) => {
    button.disabled = true;
    problem.hidden = true;
    try {
      await ask(form);
    } catch (error) {
      problem.textContent = PROBLEMS[error.name] ?? "This browser could not use a passkey here.";
      problem.hidden = false;
      button.disabled = false;
    }
  };
  const button = form.querySelector("[type=submit]");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    begin(button);
  });
  form.hidden = false;
  form.parentElement.querySelector("[data-without]").hidden = true;
  if ("atOnce" in form.dataset) begin(button);
}

for (const choice of known ? document.querySelectorAll("[data-passkey-choice]") : []) choice.hidden = false;
