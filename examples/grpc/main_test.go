package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestExitCodesSayWhatWasWrong(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitUsage, "usage: echo serve"},
		{[]string{"sing"}, exitUsage, "usage: echo serve"},
		{[]string{"serve", "-help"}, exitDrained, "-connection-timeout"},
		{[]string{"serve", "-prot", "1"}, exitUsage, "-prot"},
		{[]string{"serve", "now"}, exitUsage, `unexpected argument "now"`},
		{[]string{"serve", "-addr", "127.0.0.1:99999"}, exitFailed, "99999"},
		{[]string{"serve", "-cert", "nowhere.pem"}, exitFailed, "nowhere.pem"},
		{[]string{"ask", "-addr", "127.0.0.1:1", "-for", "1ms"}, exitFailed, "1 of 1 calls were lost"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), &stdout, &stderr, test.args)
		if code != test.code || !strings.Contains(stderr.String(), test.says) {
			t.Errorf("%q: exit code %d, %s", test.args, code, stderr.String())
		}
	}
}

func TestConnectionTimeoutMustLeaveTimeToFinish(t *testing.T) {
	good := config{ConnectionTimeout: time.Second, FinishTimeout: 2 * time.Second, DrainTimeout: 3 * time.Second}
	if err := good.validate(); err != nil {
		t.Error(err)
	}
	for _, edit := range []func(*config){
		func(c *config) { c.ConnectionTimeout = 0 }, // grpc lets no connection in
		func(c *config) { c.ConnectionTimeout = c.FinishTimeout },
		func(c *config) { c.FinishTimeout = c.DrainTimeout },
	} {
		bad := good
		edit(&bad)
		if bad.validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
