// A page is renewed under people's hands: what they have begun stays. Drafts, ticks, the cursor of the list, what is unfolded.

const TEXT = "textarea, input:not([type=checkbox], [type=radio], [type=hidden], [type=submit])";

function keep(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) return;
  if (old.classList.contains("here")) fresh.classList.add("here");
  if (old.matches("details") && old.open) fresh.open = true;
  if (old.matches("input[type=checkbox]")) fresh.checked = old.checked;
  if (old.matches(TEXT) && old.value !== old.defaultValue) fresh.value = old.value;
}

export function keepBegun() {
  if (!window.Idiomorph) return;
  window.Idiomorph.defaults.callbacks.beforeNodeMorphed = keep;
  // htmx takes a part whose attributes changed for a new one, and forgets what waits behind its request: a renewal would be lost.
  document.body.addEventListener("htmx:afterSwap", ({ target }) => target.classList?.remove("htmx-settling"));
  // What was ticked for a deed is done with once the deed is done.
  document.body.addEventListener("tocsin:changed", () => {
    for (const box of document.querySelectorAll("[data-list] input[type=checkbox]")) box.checked = false;
  });
}
