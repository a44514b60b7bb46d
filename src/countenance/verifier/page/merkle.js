// The tree of the log: RFC 6962 hashing, and its proofs (RFC 9162 2.1.3.2, 2.1.4.2), as formats/merkle.py has them.
// Sizes and indices are BigInt: a log may grow beyond what a JavaScript number counts.

const EMPTY_ROOT = sha256(new Uint8Array(0));
const LONGEST_PROOF = 63;

const leafHash = (entry) => sha256(concat(Uint8Array.of(0), entry));
const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

/** Check that a leaf's hash is at `index` of the tree of `size` with this root. Raises Fault(inclusion-wrong). */
const requireInclusion = (leaf, index, size, proof, expected) => {
  const wrong = new Fault("inclusion-wrong");
  if (index < 0n || index >= size || proof.length > LONGEST_PROOF) throw wrong;
  let [here, last, found] = [index, size - 1n, leaf];
  for (const beside of proof) {
    if (last === 0n) throw wrong;
    if (here & 1n || here === last) {
      found = nodeHash(beside, found);
      [here, last] = climbed(here, last);
    } else {
      found = nodeHash(found, beside);
    }
    [here, last] = [here >> 1n, last >> 1n];
  }
  if (last !== 0n || !same(found, expected)) throw wrong;
};

/** Leave out the levels at which a node at the edge has nothing beside it. */
const climbed = (here, last) => {
  while (!(here & 1n) && here !== 0n) [here, last] = [here >> 1n, last >> 1n];
  return [here, last];
};

/** Check that the tree of `oldSize` is the beginning of the tree of `size`. Raises Fault(consistency-wrong). */
const requireConsistency = (oldSize, oldRoot, size, newRoot, proof) => {
  const wrong = new Fault("consistency-wrong");
  if (oldSize < 0n || oldSize > size || proof.length > LONGEST_PROOF + 1) throw wrong;
  if (oldSize === 0n || oldSize === size) {
    if (proof.length !== 0 || !same(oldRoot, oldSize === 0n ? EMPTY_ROOT : newRoot)) throw wrong;
    return;
  }
  const path = oldSize & (oldSize - 1n) ? proof : [oldRoot, ...proof];
  const found = path.length === 0 ? null : folded(path, oldSize - 1n, size - 1n);
  if (found === null || !same(found[0], oldRoot) || !same(found[1], newRoot)) throw wrong;
};

const folded = (path, from, end) => {
  let [here, last] = [from, end];
  while (here & 1n) [here, last] = [here >> 1n, last >> 1n];
  let [before, after] = [path[0], path[0]];
  for (const beside of path.slice(1)) {
    if (last === 0n) return null;
    if (here & 1n || here === last) {
      [before, after] = [nodeHash(beside, before), nodeHash(beside, after)];
      [here, last] = climbed(here, last);
    } else {
      after = nodeHash(after, beside);
    }
    [here, last] = [here >> 1n, last >> 1n];
  }
  return last === 0n ? [before, after] : null;
};
