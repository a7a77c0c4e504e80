package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	downloadSize  = 50_000_000
	downloadBlock = 128 * patternPeriod

	// patternPeriod is that of the server's /bytes: the byte at offset i is i modulo it.
	patternPeriod = 251

	// A slow reader takes this long for one download, or up to twice as long.
	slowest = 2 * time.Second
)

// downloader reads large answers, and compares them while they come.
type downloader struct {
	*client
	wire  []byte
	slow  bool
	dice  *rand.ChaCha8
	block [downloadBlock]byte
}

func newDownloader(s seat) *downloader { return downloading(s, false) }

func newSlowDownloader(s seat) *downloader { return downloading(s, true) }

func downloading(s seat, slow bool) *downloader {
	return &downloader{
		client: newClient(s.dialer.speaking("http/1.1"), s.timeout),
		wire:   s.target.get(fmt.Sprintf("/bytes?n=%d", downloadSize), false),
		slow:   slow, dice: s.dice(),
	}
}

func (d *downloader) call(_ context.Context, l *ledger) {
	entry := l.begin()
	a, err := d.converse(false, func() (answer, error) {
		if err := d.send(d.wire); err != nil {
			return answer{}, err
		}
		return d.stream(d.compare)
	})
	entry.end(a, err)
}

// compare reads the body at the reader's pace, and finds what is not as it should be.
func (d *downloader) compare(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w %d", errStatus, resp.StatusCode)
	}
	pacer := pacer{}
	if d.slow {
		took := slowest + time.Duration(d.dice.Uint64()%uint64(slowest))
		pacer.rate = downloadSize / took.Seconds()
	}
	read, began := 0, time.Now()
	for {
		time.Sleep(pacer.wait(time.Since(began), int64(read)))
		n, err := io.ReadFull(resp.Body, d.block[:])
		if !bytes.Equal(d.block[:n], pattern[:n]) {
			return fmt.Errorf("%w within %d bytes from offset %d", errBody, n, read)
		}
		read += n
		switch {
		case read == downloadSize && (err == io.EOF || err == io.ErrUnexpectedEOF):
			return nil // ReadFull's word for a block that is not full
		case err != nil:
			return fmt.Errorf("after %d of %d bytes: %w", read, downloadSize, err)
		}
	}
}

// pattern is the body's next block, whichever that is.
var pattern = func() (block [downloadBlock]byte) {
	for i := range block {
		block[i] = byte(i % patternPeriod)
	}
	return block
}()
