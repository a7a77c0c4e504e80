package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What an operator does with a gRPC server by the program of the library.
//
// Broken on purpose, and seen red: nobody waits for RetireAsked; a retirement that was
// taken back ends the server.

// operator builds the program and returns how to call it.
func operator(t *testing.T) func(args ...string) (said string, err error) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "server")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/server")
	build.Dir = "../.."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return func(args ...string) (string, error) {
		said, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		return string(said), err
	}
}

func TestAnOperatorRetiresAGrpcServer(t *testing.T) {
	server := operator(t)
	v1 := start(t, "grpc-v1", "127.0.0.1:0")
	v2 := start(t, "grpc-v2", v1.addr)
	said, err := server("retire", "grpc-v1")
	if err != nil || !strings.Contains(said, "lossless; ") {
		t.Errorf("%v: %s", err, said)
	}
	if report, code := v1.left(); code != exitDrained || !report.Verdict.Lossless {
		t.Errorf("v1 left with %+v, exit code %d", report, code)
	}
	v2.retire()
	v2.left()
}

func TestAnOperatorTakesTheRetirementOfAGrpcServerBack(t *testing.T) {
	server := operator(t)
	v1 := start(t, "grpc-stays", "127.0.0.1:0")
	v2 := start(t, "grpc-stopped", v1.addr)
	status := func(says string) {
		t.Helper()
		for began := time.Now(); time.Since(began) < 10*time.Second; {
			if said, _ := server("status"); strings.Contains(said, says) {
				return
			}
		}
		t.Fatalf("nobody is %s", says)
	}
	pid := strconv.Itoa(v1.cmd.Process.Pid)
	v2.signal(syscall.SIGSTOP)
	if said, err := server("retire", "--no-wait", "--pid", pid); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	status("retiring: steer")
	if said, err := server("retire", "--undo", "--pid", pid); err != nil || !strings.Contains(said, "it stays") {
		t.Errorf("%v: %s", err, said)
	}
	v2.signal(syscall.SIGCONT)
	v1.retire()
	if report, code := v1.left(); code != exitDrained || !report.Verdict.Lossless {
		t.Errorf("v1 left with %+v, exit code %d", report, code)
	}
}
