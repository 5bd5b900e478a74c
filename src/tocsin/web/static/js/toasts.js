// Toasts go away by themselves after ten seconds, unless somebody is about to press something in them.
const LASTS = 10000;

export function keepToasts() {
  const place = document.getElementById("toasts");
  if (!place) return;
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.matches?.("[data-toast]")) arrive(node, place);
  }).observe(place, { childList: true });
  place.addEventListener("click", (event) => event.target.closest("[data-close]")?.closest("[data-toast]").remove());
  document.body.addEventListener("htmx:sendError", ({ detail }) => {
    if (detail.requestConfig.verb !== "get") say("The server does not answer. Nothing was done; try again.", false);
  });
  document.body.addEventListener("htmx:responseError", (event) => say(reason(event.detail.xhr), false));
}

function arrive(toast, place) {
  while (place.children.length > 3) place.firstElementChild.remove();
  let left = LASTS;
  const timer = setInterval(() => {
    if (!toast.isConnected) return clearInterval(timer);
    if (!toast.matches(":hover, :focus-within")) left -= 500;
    if (left <= 0) toast.remove();
  }, 500);
}

function reason(request) {
  const page = new DOMParser().parseFromString(request.responseText, "text/html");
  const words = [page.querySelector("h1"), page.querySelector(".deck")].map((part) => part?.textContent.trim()).filter(Boolean);
  return words.join(" ") || `The server refused (${request.status}). Nothing was done.`;
}

export function say(text, good = true) {
  for (const old of document.querySelectorAll("#toasts > [data-toast]")) if (old.textContent === text) old.remove(); // said once more, not twice
  const toast = document.createElement("div");
  toast.className = good ? "toast" : "toast bad";
  toast.dataset.toast = "";
  toast.setAttribute("role", good ? "status" : "alert");
  const words = document.createElement("span");
  words.textContent = text;
  toast.append(words);
  document.getElementById("toasts")?.append(toast);
}
