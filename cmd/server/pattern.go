package main

import (
	"fmt"
	"net/http"
	"strconv"
)

const (
	// maxBytes bounds /bytes: a typing error must not fill a disk.
	maxBytes = 1 << 30

	// patternPeriod is prime, so that what was lost, doubled or moved shows: no buffer
	// has a size that it divides.
	patternPeriod = 251
)

// pattern streams ?n= bytes, of which the one at offset i is i modulo patternPeriod.
// With ?chunked=1 it does not say beforehand how many.
func pattern(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	n, err := parseBytes(query.Get("n"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if query.Get("chunked") == "1" {
		_ = http.NewResponseController(w).Flush() // or net/http counts a short body itself
	} else {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	if r.Method != http.MethodHead {
		writePattern(w, n)
	}
}

// writePattern aborts what it cannot write whole.
func writePattern(w http.ResponseWriter, n int64) {
	block := make([]byte, 128*patternPeriod) // whole periods, so that each one begins with 0
	for i := range block {
		block[i] = byte(i % patternPeriod)
	}
	for n > 0 {
		wrote, err := w.Write(block[:min(n, int64(len(block)))])
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		n -= int64(wrote)
	}
}

func parseBytes(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("n=%s: it is no number; ask for /bytes?n=1000", text)
	case n < 0 || n > maxBytes:
		return 0, fmt.Errorf("n=%s: not between 0 and %d", text, maxBytes)
	}
	return n, nil
}
