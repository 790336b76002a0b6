// Shows one pair at a time and sends votes; all texts are put in as text, never as markup.
"use strict";

const at = (id) => document.getElementById(id);
const KEYS = { ArrowLeft: "left", ArrowRight: "right", t: "tie", s: "skip" };
let shown = null; // the last state from the server
let busy = false; // a request is under way; keys pressed meanwhile do not count

async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
  return answer;
}

async function go(path, body) {
  if (busy) return;
  busy = true;
  disable();
  try {
    at("message").textContent = "";
    show(await ask(path, body));
  } catch (error) {
    at("message").textContent = error.status
      ? `Not counted: ${error.message}.`
      : "Not counted: the command does not answer. If it was stopped, start it again: this page goes on.";
    if (error.status === 409) {
      try {
        show(await ask("next"));
      } catch {
        // the message stands
      }
    }
  } finally {
    busy = false;
    disable();
  }
}

function show(state) {
  const changed = !shown || shown.turn !== state.turn;
  shown = state;
  at("progress").max = Math.max(state.total, 1);
  at("progress").value = state.done;
  at("count").textContent = `${state.done} of ${state.total}`;
  at("pair").hidden = !state.texts;
  if (!state.texts) {
    at("message").textContent = "All done. Press Finish to see the result in the terminal.";
    return;
  }
  at("left").textContent = state.texts[0];
  at("right").textContent = state.texts[1];
  if (!changed) return;
  const images = Array.from({ length: state.images }, (_, number) => {
    const image = new Image();
    image.alt = `image ${number + 1} of ${state.images}, to be described`;
    image.src = `image/${state.turn}/${number}`;
    return image;
  });
  at("images").replaceChildren(...images);
  window.scrollTo(0, 0);
}

function disable() {
  for (const button of document.querySelectorAll("[data-choice]")) button.disabled = busy || !shown?.texts;
  at("undo").disabled = busy || !shown?.can_undo;
}

const vote = (choice) => shown?.texts && go("vote", { turn: shown.turn, choice });
const undo = () => shown?.can_undo && go("undo", { turn: shown.turn });

for (const button of document.querySelectorAll("[data-choice]"))
  button.addEventListener("click", () => vote(button.dataset.choice));
at("undo").addEventListener("click", undo);
at("finish").addEventListener("click", async () => {
  try {
    await ask("finish", {});
    at("pair").hidden = true;
    at("message").textContent = "Finished: the result is in the terminal. You can close this page.";
    for (const button of document.querySelectorAll("button")) button.disabled = true;
    shown = null;
  } catch (error) {
    at("message").textContent = `Not finished: ${error.message}.`;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const choice = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (choice) {
    event.preventDefault();
    vote(choice);
  } else if (event.key.toLowerCase() === "u") undo();
});
go("next");
