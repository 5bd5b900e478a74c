// What every page of the dashboard does with script. All of it can be read and acknowledged without.
import { aliveList } from "./alerts.js";
import { tick } from "./clock.js";
import { offerCopies } from "./copy.js";
import { listenToKeys } from "./keys.js";
import { live } from "./live.js";
import { openPalette } from "./palette.js";
import { keepToasts } from "./toasts.js";

function ready(root) {
  tick(root);
  offerCopies(root);
  aliveList(root);
}

ready(document);
keepToasts();
listenToKeys();
openPalette();
live();
setInterval(() => tick(document), 1000);
document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful && event.target.matches?.("[data-reset]")) event.target.reset();
});
