// Saving, and what to do with a label that was saved elsewhere meanwhile.

async function save() {
  const { draft } = state, name = annotator();
  if (!draft) return say("no episode is open", true);
  if (!name) { $("annotator").focus(); return say("not saved: who are you? fill in 'annotator', your name", true); }
  localStorage.setItem("annotator", name);
  if (draft.saving) { draft.again = true; return say("still saving; what you changed since then is saved after it"); }
  if (draft.conflict) return say("not saved: choose between your label and the one saved elsewhere first", true);
  if (!draft.dirty && draft.seenBy(name)) return say(`nothing to save: this is revision ${draft.revision}`);
  await send(draft, name);
  if (draft.again && draft.dirty && !draft.conflict) await send(draft, name);
  draft.again = false;
  await refresh().catch(sayError);
}

async function send(draft, name) {
  const sent = draft.content;
  draft.saving = true;
  draft.again = false;
  draw();
  try {
    const body = { annotator: name, ...sent, seen: draft.seenBy(name) };
    const answer = await ask(`/api/episodes/${draft.id}/labels`, { body });
    draft.stored(sent, answer.revision, name);
    say(`${draft.id} is saved as revision ${answer.revision}`);
  } catch (error) {
    if (error.status === 409) meet(draft, name, sent, error);
    else say(`${draft.id} is not saved: ${error.message}`, true);
  }
  draft.saving = false;
  drafts.keep();
  draw();
}

function meet(draft, name, sent, error) {  // a label that was stored meanwhile
  const { revision, label } = error.detail;
  if (label && same(contentOf(label), sent)) {  // one's own, whose answer was lost
    draft.stored(sent, revision, name);
    return say(`${draft.id} is saved as revision ${revision}`);
  }
  draft.conflict = { revision, label };
  draft.annotator = name;
  say(draft === state.draft ? "" : `${draft.id} is ${error.message}`, true);  // the open one shows the choice
}

function keepMine() {
  const { draft } = state, { revision, label } = draft.conflict;
  draft.stored(label ? contentOf(label) : draft.base, revision, annotator());
  save();
}

function takeTheirs() {  // undo brings one's own back
  const { draft } = state, { revision, label } = draft.conflict;
  draft.change(contentOf(label));
  draft.stored(draft.content, revision, annotator());
  changed();
}
