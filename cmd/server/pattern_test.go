package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// Broken on purpose, and seen red: a block does not end with a whole period.

func TestBytesAreThePatternInWhicheverWayTheyAreSent(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(pattern))
	defer srv.Close()
	for _, n := range []int{0, 1, 251, 100_000} {
		for _, chunked := range []string{"", "&chunked=1"} {
			resp, err := http.Get(srv.URL + "/bytes?n=" + strconv.Itoa(n) + chunked)
			must(t, err)
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			must(t, err)
			if len(body) != n || (resp.ContentLength >= 0) != (chunked == "") {
				t.Errorf("n=%d%s: %d bytes, Content-Length %d", n, chunked, len(body), resp.ContentLength)
			}
			for i, b := range body {
				if b != byte(i%251) {
					t.Fatalf("n=%d%s: byte %d is %d", n, chunked, i, b)
				}
			}
		}
	}
}

func TestHowManyBytesIsBounded(t *testing.T) {
	for _, n := range []string{"", "-1", "x", "2000000000"} {
		w := httptest.NewRecorder()
		pattern(w, httptest.NewRequest(http.MethodGet, "/bytes?n="+n, nil))
		if w.Code != http.StatusBadRequest {
			t.Errorf("n=%s: status %d", n, w.Code)
		}
	}
}
