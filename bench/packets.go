package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// How much of the packets is kept: the headers and the first bytes of what is said, in a
// ring of files, of which the oldest goes. A busy episode has some hundred megabytes.
const (
	packetBytes  = 160
	packetFiles  = 8
	packetFileMB = 64
	packetBuffer = 32 << 10 // KiB, in the kernel
)

// packetDelay is longer than the kernel keeps a packet to itself until tcpdump gets it, 1 s.
const packetDelay = 1500 * time.Millisecond

// packets is a recording of all that goes over the loopback interface to a port and from it.
type packets struct {
	*process
	dir string
}

// recordPackets starts a recording in a new directory, and returns when it has begun. It
// has to be finished or dropped.
func recordPackets(ctx context.Context, dir, addr string, clock clock) (*packets, error) {
	program, err := exec.LookPath("tcpdump")
	if err != nil {
		return nil, errors.New("record the packets: tcpdump is not installed (apt-get install tcpdump, or go on without: --packets=false)")
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("record the packets: %w", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("record the packets: %w", err)
	}
	args := []string{
		"-i", loopback, "-n", "-s", strconv.Itoa(packetBytes), "-B", strconv.Itoa(packetBuffer),
		"-C", strconv.Itoa(packetFileMB), "-W", strconv.Itoa(packetFiles), "-w", filepath.Join(dir, "pcap"),
	}
	if os.Geteuid() == 0 {
		args = append(args, "-Z", "root") // or it becomes a user who may not write here
	}
	p, err := startProcess("tcpdump", program, filepath.Join(dir, "tcpdump.log"), append(args, "tcp port "+port), clock, (*exec.Cmd).Start)
	if err != nil {
		return nil, err
	}
	r := &packets{p, dir}
	if err := p.awaitLog(ctx, "listening on"); err != nil {
		r.drop()
		if ctx.Err() == nil {
			err = fmt.Errorf("record the packets: %w (it takes root, or setcap cap_net_raw+ep %s; or go on without: --packets=false)", err, program)
		}
		return nil, err
	}
	return r, nil
}

// loopback is the interface on which servers of this host are asked.
const loopback = "lo"

// finish ends the recording when all that has happened is in it. A nil one has nothing.
func (p *packets) finish() {
	if p == nil {
		return
	}
	time.Sleep(packetDelay)
	p.stop() // it writes what it has, and says how many packets it missed
}

// drop ends the recording and removes it.
func (p *packets) drop() {
	if p == nil {
		return
	}
	p.stop()
	_ = os.RemoveAll(p.dir) // if it stays, the next one says so
}
