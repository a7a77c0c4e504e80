package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
)

// ticketKey encrypts TLS session tickets: what a client shows to resume a session.
// Whoever has it can read what was said in sessions that were resumed.
type ticketKey = [32]byte

// readTicketKeys returns the keys in a file, which must be nobody else's to read.
func readTicketKeys(path string) ([]ticketKey, error) {
	text, info, err := readFile(path)
	if err == nil {
		err = mustBePrivate(path, info)
	}
	if err != nil {
		return nil, fmt.Errorf("read ticket keys: %w", err)
	}
	keys, err := parseTicketKeys(text)
	if err != nil {
		return nil, fmt.Errorf("read ticket keys: %s: %w", path, err)
	}
	return keys, nil
}

// mustBePrivate refuses what group or others can read or change. Windows has no such
// bits.
func mustBePrivate(path string, info fs.FileInfo) error {
	const others = 0o066
	if mode := info.Mode().Perm(); mode&others != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("%s: group or others may read or change it (mode %#o): chmod 600 %[1]s", path, mode)
	}
	return nil
}

// parseTicketKeys reads a key from each line. No error has any of a line in it.
func parseTicketKeys(text []byte) (keys []ticketKey, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parseTicketKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		keys = append(keys, key)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it: make one with server ticket-keys rotate")
	}
	return keys, nil
}

func parseTicketKey(line string) (key ticketKey, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(line)
	switch {
	case err != nil:
		return key, errors.New("it is not base64 of 32 bytes")
	case len(raw) != len(key):
		return key, fmt.Errorf("the key has %d bytes, want %d", len(raw), len(key))
	}
	copy(key[:], raw)
	return key, nil
}

// formatTicketKeys is what parseTicketKeys reads.
func formatTicketKeys(keys []ticketKey) []byte {
	var b bytes.Buffer
	b.WriteString("# TLS session ticket keys: the first one encrypts, all of them decrypt. Keep them secret.\n")
	for _, key := range keys {
		b.WriteString(base64.StdEncoding.EncodeToString(key[:]) + "\n")
	}
	return b.Bytes()
}
