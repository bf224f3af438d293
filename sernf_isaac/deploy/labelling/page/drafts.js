// What was changed and not saved, by episode. A draft lives until it is saved or taken back, whatever is opened
// meanwhile, and over a reload of this tab.

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const contentOf = (label) => ({ events: label.events, success: label.success, note: label.note });

class Draft {
  constructor(id, { base, content = base, revision, annotator }) {
    this.id = id;
    this.base = base;  // what is stored, or what the page began with
    this.content = content;  // {events, success, note}; replaced, never changed; events null: as recorded
    this.revision = revision;  // newest one of the annotator that this tab has seen; 0: none
    this.annotator = annotator;
    this.past = [];  // earlier contents, for undo
    this.tag = null;  // of the last change
    this.saving = false;
    this.again = false;  // save was pressed while saving
    this.conflict = null;  // {revision, label}, stored elsewhere meanwhile
  }

  get dirty() { return !same(this.content, this.base); }

  change(parts, tag = null) {  // changes in a row with one tag are undone together
    const next = { ...this.content, ...parts };
    if (same(next, this.content)) return;
    if (tag === null || tag !== this.tag) this.past.push(this.content);
    this.tag = tag;
    this.content = next;
  }

  undo() {
    if (this.past.length) this.content = this.past.pop();
    this.tag = null;
  }

  stored(content, revision, annotator) {  // changes since `content` was sent stay unsaved
    Object.assign(this, { base: content, revision, annotator, conflict: null, tag: null });
  }

  seenBy(annotator) { return annotator === this.annotator ? this.revision : 0; }
}

class Drafts {
  constructor(run) {
    this.key = `drafts of ${run}`;
    this.byId = new Map();
    const kept = parsed(sessionStorage.getItem(this.key) || "[]") || [];
    for (const one of kept) this.byId.set(one.id, new Draft(one.id, one));
  }

  unsaved() { return [...this.byId.values()].filter((draft) => draft.dirty || draft.saving).map((draft) => draft.id); }

  // The draft of an episode that was just looked at.
  open(view, annotator) {
    const kept = this.byId.get(view.id);
    if (!kept || !(kept.dirty || kept.saving)) {
      const base = contentOf(view.start);
      const draft = new Draft(view.id, { base, revision: view.revision, annotator });
      this.byId.set(view.id, draft);
      return draft;
    }
    if (!kept.saving && kept.annotator === annotator && kept.revision !== view.revision) {
      kept.conflict = { revision: view.revision, label: view.label };
    }
    return kept;
  }

  keep() {  // so that a reload does not lose them
    const plain = [...this.byId.values()].filter((draft) => draft.dirty).map(
      ({ id, base, content, revision, annotator }) => ({ id, base, content, revision, annotator }));
    try { sessionStorage.setItem(this.key, JSON.stringify(plain)); } catch { return false; }
    return true;
  }
}
