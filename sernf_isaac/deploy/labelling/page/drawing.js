// Showing what is open, on the whole page.

function drawAround(title) {  // what is there without an open episode, too
  $("title").textContent = title;
  document.title = title;
  $("status").textContent = "";
  for (const id of ["conflict", "problems", "broken"]) $(id).hidden = true;
  allow(false);
  drawUnsaved();
}

function allow(changes) {
  $("episode").classList.toggle("waiting", !changes);
  for (const field of document.querySelectorAll("#episode button, #note, #value")) field.disabled = !changes;
}

function draw() {
  if (drafts) drawUnsaved();
  const { view, draft, step } = state;
  if (!view) return;
  const theirs = draft.conflict && draft.conflict.label && (draft.conflict.label.events || view.recorded);
  $("scrub").value = step;
  drawPlot($("plot"), view, { step, marks: marks(), theirs });
  $("title").textContent = `${view.id}: step ${step} of ${view.steps}`;
  document.title = `${draft.dirty ? "● " : ""}${view.id}`;
  $("broken").hidden = true;
  $("problems").replaceChildren(...view.problems.map(paragraph));
  $("problems").hidden = !view.problems.length;
  allow(true);
  drawStatus(draft);
  drawConflict(draft);
  drawContent(view, draft, step);
}

function drawStatus(draft) {
  const stored = draft.revision ? `your label: revision ${draft.revision}` : "not labelled by you";
  $("status").textContent = draft.saving ? "saving" : draft.dirty ? "unsaved changes" : stored;
  $("status").className = draft.dirty || draft.saving ? "unsaved" : draft.revision ? "saved" : "";
  $("undo").disabled = !draft.past.length;
}

function drawConflict(draft) {
  $("conflict").hidden = !draft.conflict;
  if (!draft.conflict) return;
  const { revision, label } = draft.conflict;
  $("take_theirs").hidden = !label;
  const verdict = { true: "success", false: "failure", null: "unsure" };
  const said = label && `${verdict[label.success]}, ` +
    `${label.events ? `rewards ${total(label.events)}` : "rewards as recorded"}${label.note ? `, “${label.note}”` : ""}`;
  $("conflict_text").textContent = label
    ? `Not saved: revision ${revision} of your label was saved in another window while this one was open. It says: ${said}.`
    : "Not saved: the label this window began with is gone or damaged.";
}

function drawContent(view, draft, step) {
  const { success, note } = draft.content;
  document.querySelectorAll(".verdict button").forEach((button) => {
    button.classList.toggle("on", button.dataset.success === String(success));
  });
  $("recorded").textContent = `the robot recorded: ${view.outcome}`;
  if ($("note").value !== note) $("note").value = note;
  if (document.activeElement !== $("value")) $("value").value = rewardAt(step);
  $("numbers").textContent = `rewards: ${total(marks())} marked, ${total(view.proposed)} proposed` +
    `${draft.content.events ? "" : " (as recorded)"}. Net turn here: ${view.quarters[step].toFixed(2)} quarters.`;
  $("marks").replaceChildren(...marks().map((event) => markButton(event, step)));
}

function markButton([at, value], step) {
  const button = document.createElement("button");
  button.textContent = value === 1 ? at : `${at}: ${signed(value)}`;
  button.title = `reward of ${value} at step ${at}`;
  button.className = [at === step ? "here" : "", value < 0 ? "negative" : ""].join(" ").trim();
  button.onclick = () => go(at);
  return button;
}

const total = (events) => Number(events.reduce((sum, event) => sum + event[1], 0).toFixed(6));

const framePath = (step) => `/api/episodes/${state.view.id}/frames/${step}.jpg`;
const frameUrl = (step) => `${framePath(step)}?token=${encodeURIComponent(token)}`;

function drawFrame() {
  if (!state.hasFrames) return;
  $("frame").src = frameUrl(state.step);
  for (let ahead = 1; ahead <= 4; ahead++) {  // read ahead
    if (state.step + ahead < state.view.steps) new Image().src = frameUrl(state.step + ahead);
  }
}

function noFrame() {
  if (!state.view) return;
  $("frame").hidden = true;
  $("no_frame").hidden = false;
  ask(framePath(state.step)).catch((error) => { $("no_frame").textContent = `no picture: ${error.message}`; });
}

function someFrame() {
  $("frame").hidden = false;
  $("no_frame").hidden = true;
}
