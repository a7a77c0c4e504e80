package main

import (
	"fmt"

	"golang.org/x/net/http2"
)

// read takes in what the server sends, until the connection ends.
func (c *h2conn) read() {
	for {
		frame, err := c.framer.ReadFrame()
		if err == nil {
			err = c.hear(frame)
		}
		if err != nil {
			c.end(fmt.Errorf("read: %w", err))
			return
		}
	}
}

func (c *h2conn) hear(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		c.hearHead(f)
	case *http2.DataFrame:
		c.hearData(f)
	case *http2.RSTStreamFrame:
		c.hearReset(f)
	case *http2.GoAwayFrame:
		c.hearGoAway(f)
	case *http2.SettingsFrame:
		return c.hearSettings(f)
	case *http2.WindowUpdateFrame:
		c.hearWindow(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			c.write(func(fr *http2.Framer) error { return fr.WritePing(true, f.Data) })
		}
	}
	return nil
}

func (c *h2conn) hearHead(f *http2.MetaHeadersFrame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[f.StreamID]
	if s == nil {
		return
	}
	if status := statusOf(f); status >= 200 { // else it is 1xx, or a trailer
		s.status = status
		for _, h := range f.RegularFields() {
			if h.Name == "release" {
				s.release = h.Value
			}
		}
	}
	if f.StreamEnded() {
		c.finish(s, nil)
	}
}

func (c *h2conn) hearData(f *http2.DataFrame) {
	c.mu.Lock()
	c.pending += int(f.Length)
	refill, grown := portion(&c.pending), 0
	if s := c.streams[f.StreamID]; s != nil {
		s.body = append(s.body, f.Data()...)
		s.pending += int(f.Length)
		grown = portion(&s.pending)
		if f.StreamEnded() {
			c.finish(s, nil)
			grown = 0
		}
	}
	c.mu.Unlock()
	c.refill(0, refill)
	c.refill(f.StreamID, grown)
}

// portion returns what is to be given back, once it is worth a frame.
func portion(pending *int) (n int) {
	if *pending >= h2Refill {
		n, *pending = *pending, 0
	}
	return n
}

func (c *h2conn) refill(stream uint32, n int) {
	if n > 0 {
		c.write(func(f *http2.Framer) error { return f.WriteWindowUpdate(stream, uint32(n)) })
	}
}

// hearReset ends a stream without an answer, whatever the reason: even a stream that
// was refused cannot be sent again when its body is gone.
func (c *h2conn) hearReset(f *http2.RSTStreamFrame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[f.StreamID]; s != nil {
		c.finish(s, fmt.Errorf("%w: %v", errStream, f.ErrCode))
	}
}

// hearGoAway ends the streams that the server will not process. It takes the lock of
// the writers, so that no stream is known here whose head is not yet on the wire.
func (c *h2conn) hearGoAway(f *http2.GoAwayFrame) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	for id, s := range c.streams {
		if id > f.LastStreamID {
			c.finish(s, fmt.Errorf("%w: stream %d, the last one is %d, %v", errGoAway, id, f.LastStreamID, f.ErrCode))
		}
	}
	c.closeIfDone()
}

func (c *h2conn) hearSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := f.ForeachSetting(c.obey); err != nil {
		return err
	}
	c.send(func(fr *http2.Framer) error { return fr.WriteSettingsAck() })
	return nil
}

func (c *h2conn) obey(setting http2.Setting) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch setting.ID {
	case http2.SettingInitialWindowSize:
		for _, s := range c.streams {
			s.window += int64(setting.Val) - c.initial
		}
		c.initial = int64(setting.Val)
		c.grown.Broadcast()
	case http2.SettingMaxFrameSize:
		c.maxFrame = int(setting.Val)
	case http2.SettingHeaderTableSize:
		c.encoder.SetMaxDynamicTableSize(min(setting.Val, 4096))
	}
	return setting.Valid()
}

func (c *h2conn) hearWindow(f *http2.WindowUpdateFrame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.StreamID == 0 {
		c.window += int64(f.Increment)
	} else if s := c.streams[f.StreamID]; s != nil {
		s.window += int64(f.Increment)
	}
	c.grown.Broadcast()
}
