package main

import (
	"slices"
	"strings"
	"testing"
)

// Broken on purpose, and seen red: whatever begins as a supervisor's variable is one.

func TestHangUpIsRefusedUnderASupervisor(t *testing.T) {
	plain := config{Addr: []string{":8080"}}
	for _, test := range []struct {
		name string
		env  vars
		pid  int
		cfg  config
		want string
	}{
		{"nobody", nil, 7, plain, ""},
		{"systemd, which waits to be told", vars{"NOTIFY_SOCKET": "/run/systemd/notify"}, 7, plain, "a unit of its own"},
		{"systemd", vars{"SYSTEMD_EXEC_PID": "7"}, 7, plain, "a unit of its own"},
		{"systemd of somebody above us", vars{"SYSTEMD_EXEC_PID": "6"}, 7, plain, ""},
		{"supervisord", vars{"SUPERVISOR_ENABLED": "1"}, 7, plain, "a program of its own"},
		{"a container", nil, 1, plain, "a container of its own"},
		{"any port", nil, 7, config{Addr: []string{":8080", "http://127.0.0.1:0"}}, "give --addr a port"},
		{"dark", nil, 7, config{Addr: []string{":8080"}, Dark: true}, "server pin"},
		{"a port by its name", nil, 7, config{Addr: []string{":http"}}, ""},
	} {
		got := obstacle(test.env.get, test.pid, test.cfg)
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

func TestASuccessorGetsNothingThatIsBetweenUsAndASupervisor(t *testing.T) {
	its := []string{"PATH=/bin", "OVERLAP_ADDR=:80", "NOTIFY_SOCKETS=1", "LISTEN_ADDR=:80", "WATCHDOG_URL=http://h/"}
	env := append([]string{"NOTIFY_SOCKET=@x", "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "LISTEN_FDS=1", "LISTEN_PID=1",
		"LISTEN_PIDFDID=1", "LISTEN_FDNAMES=a"}, its...)
	if got := slices.DeleteFunc(env, isOurs); !slices.Equal(got, its) {
		t.Errorf("it gets %q", got)
	}
}
