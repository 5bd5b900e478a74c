// What a screen reader is told of changes that only the eye would notice.
export function announce(text, loudly = false) {
  const place = document.getElementById("say");
  if (!place) return;
  place.setAttribute("aria-live", loudly ? "assertive" : "polite");
  place.textContent = "";
  requestAnimationFrame(() => (place.textContent = text));
}
