package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestLinkedVersionWins(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}}
	for _, test := range []struct {
		name, linked string
		info         *debug.BuildInfo
		want         string
	}{
		{"linked", "v1.2.3", info, "v1.2.3"},
		{"from the repository", "", info, "v0.1.0"},
		{"outside of one", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "dev"},
		{"unknown", "", &debug.BuildInfo{}, "dev"},
	} {
		if got := newBuild(test.linked, test.info).Version; got != test.want {
			t.Errorf("%s: version %q, want %q", test.name, got, test.want)
		}
	}
}

func TestVersionNamesTheRevision(t *testing.T) {
	b := newBuild("v1", &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "4fe9bb6"},
		{Key: "vcs.time", Value: "2026-11-22T10:00:00Z"},
		{Key: "vcs.modified", Value: "true"},
	}})
	contains(t, b.String(), "server v1", "4fe9bb6 with changes", runtime.Version())
	if b.Time != "2026-11-22T10:00:00Z" {
		t.Errorf("time %q", b.Time)
	}
}

func TestVersionIsAlsoJSON(t *testing.T) {
	var got build
	if err := json.Unmarshal([]byte(call(nil, "version", "--json").stdout), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version == "" || got.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("got %+v", got)
	}
	contains(t, call(nil, "version").stdout, "server "+got.Version)
	contains(t, call(nil, "--version").stdout, got.Version)
}
