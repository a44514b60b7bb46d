// Command main answers questions about notes, keys, proofs and tiles with golang.org/x/mod/sumdb (packages note and
// tlog), which the Go project's checksum database runs on. One JSON list of questions on standard input, one of answers
// on standard output. See tests/conformance/test_go_reads_ours.py.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A question says in Op what is asked; which other members count depends on it.
type question struct {
	Op      string
	Text    string   // of a note
	Note    string   // with its signatures
	Keys    []string // public keys, NAME+ID+KEY
	Names   []string // of signers
	Seeds   [][]byte // of signers
	Times   []uint64 // of signers; 0 signs as a log
	Entries [][]byte
	Leaf    []byte // hash of an entry
	Index   int64
	Size    int64
	Root    []byte
	OldSize int64
	OldRoot []byte
	Proof   [][]byte
	Tile    tlog.Tile
}

type answer struct {
	Error      string
	Text       string
	Known      []string // names of checked signatures
	Unknown    []string // names of others
	Keys       []string
	Note       string
	Leaves     [][]byte     // hash of each entry
	Roots      [][]byte     // of size 0 and up
	Inclusion  [][][][]byte // [size][index]
	Consistent [][][][]byte // [size][old size]
	Path       string
	Paths      []string
	Size       int64
	Root       []byte
}

// cosigner checks and makes the cosignatures of witnesses (C2SP tlog-cosignature), which package note does not know.
type cosigner struct {
	name    string
	public  ed25519.PublicKey
	private ed25519.PrivateKey
	at      uint64
}

func (c *cosigner) Name() string { return c.name }

func (c *cosigner) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(c.name+"\n\x04"), c.public...))
	return binary.BigEndian.Uint32(sum[:4])
}

func cosigned(at uint64, msg []byte) []byte {
	return append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", at)), msg...)
}

func (c *cosigner) Sign(msg []byte) ([]byte, error) {
	at := make([]byte, 8)
	binary.BigEndian.PutUint64(at, c.at)
	return append(at, ed25519.Sign(c.private, cosigned(c.at, msg))...), nil
}

func (c *cosigner) Verify(msg, sig []byte) bool {
	return len(sig) == 72 && ed25519.Verify(c.public, cosigned(binary.BigEndian.Uint64(sig[:8]), msg), sig[8:])
}

func verifier(key string) (note.Verifier, error) {
	parts := strings.SplitN(key, "+", 3)
	if len(parts) == 3 {
		data, err := base64.StdEncoding.DecodeString(parts[2])
		if err == nil && len(data) == 33 && data[0] == 4 {
			c := &cosigner{name: parts[0], public: data[1:]}
			if fmt.Sprintf("%08x", c.KeyHash()) != parts[1] {
				return nil, errors.New("invalid verifier hash")
			}
			return c, nil
		}
	}
	return note.NewVerifier(key)
}

func open(q question) (a answer, err error) {
	var known []note.Verifier
	for _, key := range q.Keys {
		v, err := verifier(key)
		if err != nil {
			return a, err
		}
		known = append(known, v)
	}
	if q.Note == "" {
		return a, nil
	}
	n, err := note.Open([]byte(q.Note), note.VerifierList(known...))
	if err != nil {
		return a, err
	}
	a.Text = n.Text
	for _, s := range n.Sigs {
		a.Known = append(a.Known, s.Name)
	}
	for _, s := range n.UnverifiedSigs {
		a.Unknown = append(a.Unknown, s.Name)
	}
	return a, nil
}

func sign(q question) (a answer, err error) {
	var signers []note.Signer
	for i, name := range q.Names {
		private := ed25519.NewKeyFromSeed(q.Seeds[i])
		public := private.Public().(ed25519.PublicKey)
		if q.Times[i] != 0 {
			c := &cosigner{name, public, private, q.Times[i]}
			signers = append(signers, c)
			key := base64.StdEncoding.EncodeToString(append([]byte{4}, public...))
			a.Keys = append(a.Keys, fmt.Sprintf("%s+%08x+%s", name, c.KeyHash(), key))
			continue
		}
		vkey, err := note.NewEd25519VerifierKey(name, public)
		if err != nil {
			return a, err
		}
		hash := strings.Split(vkey, "+")[1]
		seed := base64.StdEncoding.EncodeToString(append([]byte{1}, q.Seeds[i]...))
		s, err := note.NewSigner("PRIVATE+KEY+" + name + "+" + hash + "+" + seed)
		if err != nil {
			return a, err
		}
		signers, a.Keys = append(signers, s), append(a.Keys, vkey)
	}
	msg, err := note.Sign(&note.Note{Text: q.Text}, signers...)
	a.Note = string(msg)
	return a, err
}

func raw(hashes []tlog.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = append([]byte(nil), hashes[i][:]...)
	}
	return out
}

func hashes(data [][]byte) (out []tlog.Hash, err error) {
	for _, d := range data {
		var h tlog.Hash
		if len(d) != tlog.HashSize {
			return nil, errors.New("hash of another length")
		}
		copy(h[:], d)
		out = append(out, h)
	}
	return out, nil
}

// tree builds the log of q.Entries and gives every root and every proof on the way.
func tree(q question) (a answer, err error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			out[i] = stored[index]
		}
		return out, nil
	})
	for size := int64(0); size <= int64(len(q.Entries)); size++ {
		root, err := tlog.TreeHash(size, reader)
		if err != nil {
			return a, err
		}
		a.Roots = append(a.Roots, root[:])
		inclusion, consistent := [][][]byte{}, [][][]byte{}
		for n := int64(0); n < size; n++ {
			p, err := tlog.ProveRecord(size, n, reader)
			if err != nil {
				return a, err
			}
			t, err := tlog.ProveTree(size, n+1, reader)
			if err != nil {
				return a, err
			}
			inclusion, consistent = append(inclusion, raw(p)), append(consistent, raw(t))
		}
		a.Inclusion, a.Consistent = append(a.Inclusion, inclusion), append(a.Consistent, consistent)
		if size < int64(len(q.Entries)) {
			leaf := tlog.RecordHash(q.Entries[size])
			a.Leaves = append(a.Leaves, leaf[:])
			more, err := tlog.StoredHashes(size, q.Entries[size], reader)
			if err != nil {
				return a, err
			}
			stored = append(stored, more...)
		}
	}
	return a, nil
}

func answered(q question) (a answer, err error) {
	if q.Op == "record" || q.Op == "grown" {
		proof, err := hashes(q.Proof)
		if err != nil {
			return a, err
		}
		ends, err := hashes([][]byte{q.Root, append(append([]byte(nil), q.Leaf...), q.OldRoot...)})
		if err != nil {
			return a, err
		}
		if q.Op == "record" {
			return a, tlog.CheckRecord(proof, q.Size, ends[0], q.Index, ends[1])
		}
		return a, tlog.CheckTree(proof, q.Size, ends[0], q.OldSize, ends[1])
	}
	switch q.Op {
	case "open":
		return open(q)
	case "sign":
		return sign(q)
	case "tree":
		return tree(q)
	case "parse-tree":
		t, err := tlog.ParseTree([]byte(q.Text))
		return answer{Size: t.N, Root: t.Hash[:]}, err
	case "format-tree":
		root, err := hashes([][]byte{q.Root})
		if err != nil {
			return a, err
		}
		return answer{Text: string(tlog.FormatTree(tlog.Tree{N: q.Size, Hash: root[0]}))}, nil
	case "path":
		return answer{Path: q.Tile.Path()}, nil
	case "tiles":
		for _, tile := range tlog.NewTiles(8, q.OldSize, q.Size) {
			a.Paths = append(a.Paths, tile.Path())
		}
		return a, nil
	}
	return a, errors.New("unknown question " + q.Op)
}

func main() {
	var questions []question
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&questions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	answers := make([]answer, len(questions))
	for i, q := range questions {
		a, err := answered(q)
		if err != nil {
			a.Error = err.Error()
		}
		answers[i] = a
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(out.Bytes())
}
