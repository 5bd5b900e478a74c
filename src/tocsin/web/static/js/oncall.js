// Drawing over the first line of the week opens the form of an override for that stretch. The form does the same by itself.
const week = document.querySelector("[data-draw]");
const track = week?.querySelector("[data-track]");
const SNAP = 0.5; // hours

if (track) draw(week, track);

function draw(week, track) {
  const hours = Number(week.dataset.hours);
  const starts = new Date(`${week.dataset.starts}:00Z`); // the zone's wall clock, counted on as if it were UTC
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  mark.setAttribute("class", "drawn");
  mark.setAttribute("height", "100%");
  let from = null;
  week.querySelector("[data-draw-hint]").hidden = false;

  const hour = (event) => {
    const box = track.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return Math.round((share * hours) / SNAP) * SNAP;
  };
  const show = (to) => {
    mark.setAttribute("x", `${(Math.min(from, to) / hours) * 100}%`);
    mark.setAttribute("width", `${(Math.abs(to - from) / hours) * 100}%`);
  };
  const stop = () => {
    from = null;
    mark.remove();
  };
  const wall = (at) => new Date(starts.getTime() + at * 3600000).toISOString().slice(0, 16);

  track.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    from = hour(event);
    show(from);
    track.append(mark);
    track.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  track.addEventListener("pointermove", (event) => from !== null && show(hour(event)));
  track.addEventListener("pointercancel", stop);
  addEventListener("keydown", (event) => event.key === "Escape" && stop());
  track.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const to = hour(event);
    const [begins, ends] = [Math.min(from, to), Math.max(from, to)];
    stop();
    if (ends > begins) location.assign(`${week.dataset.draw}?from=${wall(begins)}&to=${wall(ends)}`);
  });
}
