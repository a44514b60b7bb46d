// What was checked, step by step, and the verdict: as verifier/report.py and verifier/checkpoints.py have it.

/** Raised by a check that could not be made; `told` is the name of a sentence in the words. */
class Unchecked extends Error {
  constructor(told) {
    super(told);
    this.told = told;
  }
}

/** Make the checks [name, check] in order, up to the first that fails; `progress(number, count)` is called before each.
 * Return {what, verdict, step, code, steps: [{number, name, outcome, code, told}]}; `told`: [word, ...values] each. */
const follow = async (what, checks, trusted, progress = () => {}) => {
  const steps = [];
  for (const [name, check] of checks) {
    const number = steps.length + 1;
    await progress(number, checks.length);
    const failed = steps.some((step) => step.outcome === "failed");
    steps.push({ number, name, ...(failed ? unchecked("told.after-failure") : await outcomeOf(check)) });
  }
  return concluded(what, steps, trusted);
};

const concluded = (what, steps, trusted) => {
  const failed = steps.find((step) => step.outcome === "failed");
  const whole = trusted && steps.every((step) => step.outcome === "ok");
  const verdict = failed ? "refused" : whole ? "verified" : "self-consistent";
  return { what, verdict, step: failed?.number ?? null, code: failed?.code ?? null, steps };
};

const unchecked = (told) => ({ outcome: "unchecked", code: "", told: [[told]] });

const outcomeOf = async (check) => {
  try {
    return { outcome: "ok", code: "", told: await check() ?? [] };
  } catch (error) {
    if (error instanceof Unchecked) return unchecked(error.told);
    if (!(error instanceof Fault)) console.error(error);
    return { outcome: "failed", code: error instanceof Fault ? error.code : "internal", told: [] };
  }
};

/** Check each cosignature by a witness that the file or the trust file names; say whose they are. Those under the log's
 * own name (`origin`) are checked elsewhere; anybody else's is ignored, and that is said.
 * Raises Fault(signature-wrong). */
const cosigned = async (note, named, origin, trust, ownOnly) => {
  const witnesses = [...(trust?.witness ?? []), ...named]; // the trust file's where two look alike
  const [right, told] = [[], []];
  for (const signature of note.signatures) {
    const key = witnesses.find((one) => one.is(signature));
    if (key !== undefined) {
      await requireSigned(note, key, ownOnly);
      right.push(signature.name);
    } else if (signature.name !== origin) {
      told.push(["told.unknown-cosignature", signature.name]);
    }
  }
  return [right.length ? ["told.cosigned", right.join(", ")] : ["told.not-cosigned"], ...told];
};

const includesKey = (keys, wanted) => keys.some((key) => key.text === wanted.text);

/** Check that a file's keys are those of the trust file. Raises Fault: trust-other-log, trust-other-receipt. */
const requireKeys = (keys, trust) => {
  if (!includesKey(trust.log, keys.log)) throw new Fault("trust-other-log");
  if (!includesKey(trust.receipt, keys.receipt)) throw new Fault("trust-other-receipt");
};

/** Check that as many of the trust file's witnesses as it needs have cosigned, not counting the venue's own keys.
 * Raises Fault: cosignature-missing, signature-wrong. */
const requireWitnesses = async (note, trust, own, ownOnly) => {
  const seen = new Set();
  for (const key of trust.witness) {
    if (note.signatures.some((signature) => key.is(signature))) {
      await requireSigned(note, key, ownOnly);
      seen.add(hexOf(key.bytes));
    }
  }
  for (const key of own) seen.delete(hexOf(key.bytes));
  if (seen.size < trust.need) throw new Fault("cosignature-missing");
  return [["told.witnesses", String(seen.size), String(trust.need)]];
};

/** Return a checkpoint whose log key signed it, and its note. Raises Fault: checkpoint-origin and requireSigned's. */
const signedCheckpoint = async (text, key, ownOnly) => {
  const note = readNote(text);
  const head = readCheckpoint(note);
  if (head.origin !== key.name) throw new Fault("checkpoint-origin");
  await requireSigned(note, key, ownOnly);
  return { head, note };
};

/** Check the file of a checkpoint. */
const checkpointReport = (text, trust, { ownOnly = false, progress } = {}) => {
  const state = {};
  return follow("checkpoint", [
    ["form", () => {
      state.note = readNote(text);
      state.head = readCheckpoint(state.note);
      return [["told.size", String(state.head.size)]];
    }],
    ["signature of the log", async () => {
      if (trust === null) throw new Unchecked("told.no-trust-log");
      state.log = trustedLog(state.head, state.note, trust);
      await signedCheckpoint(text, state.log, ownOnly);
    }],
    ["cosignatures", () => cosigned(state.note, [], state.head.origin, trust, ownOnly)],
    ["trust", () => {
      if (trust === null) throw new Unchecked("told.no-trust");
      return requireWitnesses(state.note, trust, [state.log], ownOnly);
    }],
  ], trust !== null, progress);
};

const trustedLog = (head, note, trust) => {
  const mine = trust.log.filter((key) => key.name === head.origin);
  if (mine.length === 0) throw new Fault("trust-other-log");
  return mine.find((key) => note.signatures.some((signature) => key.is(signature))) ?? mine[0];
};
