// Keys, boxes on and off, and changes; the pages work without it. Texts are put in as text, never as markup.
"use strict";

const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];

function follow(rel) {
  const link = one(`a[rel="${rel}"]`);
  if (link) location.assign(link.href);
}

function step(by) {
  const cards = all(".card");
  if (!one(".grid")) return follow(by > 0 ? "next" : "prev");
  const at = cards.indexOf(document.activeElement);
  const to = at < 0 ? (by > 0 ? 0 : cards.length - 1) : at + by;
  if (cards[to]) cards[to].focus();
  else follow(by > 0 ? "next" : "prev");
}

const KEYS = {
  j: () => step(1),
  ArrowRight: () => step(1),
  k: () => step(-1),
  ArrowLeft: () => step(-1),
  g: () => follow("up"),
  b: () => document.body.classList.toggle("places-off"),
  "/": () => one("#q").focus(),
  "?": () => one("#help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || one("#help").open) return;
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// What is not saved must not be lost by a key that leaves the page.
addEventListener("beforeunload", (event) => {
  if (one("form.correct.unsaved")) event.preventDefault();
});

for (const form of all("form.correct")) {
  const said = form.querySelector(".saved");
  form.addEventListener("input", () => form.classList.add("unsaved"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { number, layer, row } = form.dataset;
    const { text, mark, note } = Object.fromEntries(new FormData(form));
    const body = { number: Number(number), layer, row: Number(row), text, mark, note };
    said.classList.remove("failed");
    said.textContent = "saving";
    try {
      const answer = await fetch("correct", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.error);
      const what = [told.corrected && "corrected", told.mark && `marked ${told.mark}`, told.note && "noted"];
      said.textContent = `saved: ${what.filter(Boolean).join(", ") || "nothing said of it"}`;
      form.classList.remove("unsaved");
    } catch (error) {
      said.classList.add("failed");
      said.textContent = error instanceof TypeError ? "not saved: the command does not answer" : `not saved: ${error.message}`;
    }
  });
}

for (const box of all("[data-shows]"))
  box.addEventListener("change", () => {
    for (const place of all("[data-origin]"))
      if (place.dataset.origin === box.dataset.shows) place.classList.toggle("off", !box.checked);
  });

// A line of the list of places lights its place up on the image.
for (const line of all(".place-list li"))
  for (const [event, lit] of [["mouseenter", true], ["mouseleave", false]])
    line.addEventListener(event, () => {
      const at = all(".place-list li").indexOf(line);
      all(".places g")[at]?.classList.toggle("lit", lit);
    });

async function waitForIndex() {
  const state = await (await fetch("state")).json();
  if (state.ready || state.problem) {
    if (!one("details.change[open]")) location.reload();
    one("#indexing").textContent = "Search and filters are ready: reload the page.";
    return;
  }
  one("#indexing").textContent = `Search and filters are being prepared: ${state.done} of ${state.total} samples.`;
  setTimeout(waitForIndex, 1000);
}
if (one("#indexing")) setTimeout(waitForIndex, 700);
