// Copy buttons appear where the browser can copy.
export function offerCopies(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy][hidden]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.setAttribute("aria-label", "Copied");
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 2000);
    });
  }
}
