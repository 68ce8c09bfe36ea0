// An error boundary: when a script of ours fails, the customer gets the plain form back and carries on.
// What was typed is kept; the error is thrown on once, so the beacon (or the console) tells of it.

// Runs enhance(element, handler). Wrap event handlers of the enhancement in handler(fn): they are then guarded too,
// asynchronous ones included. After the first failure the element is as the server sent it, with its values.
export const guard = (element, enhance) => {
  const plain = element.cloneNode(true);
  let failed = false;
  const fail = (error) => {
    if (failed) return;
    failed = true;
    for (const field of plain.querySelectorAll("[name]")) {
      const typed = element.querySelectorAll(`[name="${CSS.escape(field.name)}"]`);
      if (field.type === "checkbox" || field.type === "radio") {
        field.checked = [...typed].some((other) => other.value === field.value && (other.checked || other.type === "hidden"));
      } else if (typed.length && field.type !== "file") {
        field.value = typed[0].value;
      }
    }
    element.replaceWith(plain);
    reportError(error);
  };
  const handler = (run) => (...given) => {
    if (failed) return undefined;
    try {
      const result = run(...given);
      return result?.catch ? result.catch(fail) : result;
    } catch (error) {
      return fail(error);
    }
  };
  handler(enhance)(element, handler);
};
