// Ctrl/Cmd-K: go to a page, or search alerts and events for what was typed.
const up = document.body.dataset.up || "";

export function openPalette() {
  const palette = document.getElementById("palette");
  const input = palette?.querySelector("input");
  if (!input) return;
  const options = () => [...palette.querySelectorAll("[role=option]")].filter((option) => !option.hidden);

  function show() {
    const words = input.value.trim().toLowerCase();
    for (const option of palette.querySelectorAll("[role=option]")) {
      const search = option.dataset.search;
      if (search) {
        option.hidden = !words;
        option.href = `${up}${search}?q=${encodeURIComponent(input.value.trim())}`;
        option.querySelector("q").textContent = input.value.trim();
      } else option.hidden = !option.textContent.toLowerCase().includes(words);
    }
    choose(0);
  }

  function choose(place) {
    const all = options();
    all.forEach((option, at) => option.setAttribute("aria-selected", String(at === place)));
    input.setAttribute("aria-activedescendant", all[place]?.id ?? "");
    all[place]?.scrollIntoView({ block: "nearest" });
  }

  input.addEventListener("input", show);
  palette.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown") choose((at + 1) % all.length);
    else if (event.key === "ArrowUp") choose((at - 1 + all.length) % all.length);
    else if (event.key === "Enter") all[at]?.click();
    else return;
    event.preventDefault();
  });
  palette.addEventListener("close", () => (input.value = ""));
  new MutationObserver(() => palette.open && show()).observe(palette, { attributeFilter: ["open"] });
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
}
