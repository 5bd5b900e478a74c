// What every page of the dashboard does with script. All of it can be read and acknowledged without.
import { tick } from "./clock.js";
import { offerCopies } from "./copy.js";

function ready(root) {
  tick(root);
  offerCopies(root);
}

ready(document);
setInterval(() => tick(document), 1000);
document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
