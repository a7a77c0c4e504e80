package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Broken on purpose, and seen red:
//   - a pair that cannot be used is put into use all the same; the old one is forgotten:
//     TestABrokenPairIsReportedAndTheOldOneStaysInUse
//   - only the directory of the file is watched: the two with links in
//     TestAChangedCertificateIsShownWithoutARestart
//   - nothing is watched; nobody looks when watching begins: the same
//   - the pair is not read at start: TestAPairThatCannotBeUsedIsAConfigurationError
//   - the least version is left to Go, which a GODEBUG lowers: TestNobodySpeaksLessThanTLS12
//   - every address gets the certificate; Protocols are left to net/http:
//     TestOneInstanceServesInClearAndUnderTLS

// keyPair is what a certificate file and a key file have in them.
type keyPair struct{ cert, key []byte }

func newKeyPair(t testing.TB, serial int64) keyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "overlap test"},
		DNSNames:     []string{"localhost"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return keyPair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func overwrite(t testing.TB, path string, text []byte) {
	t.Helper()
	must(t, os.WriteFile(path, text, 0o600))
}

const (
	certName = "tls.crt"
	keyName  = "tls.key"
)

// in writes the pair into dir, which is made if it is not there.
func (p keyPair) in(t testing.TB, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	overwrite(t, filepath.Join(dir, certName), p.cert)
	overwrite(t, filepath.Join(dir, keyName), p.key)
}

// tlsFlags are for a pair in dir.
func tlsFlags(dir string) []string {
	return []string{"--tls-cert", filepath.Join(dir, certName), "--tls-key", filepath.Join(dir, keyName)}
}

// startTLS starts a release with the pair in dir, and returns where it listens.
func startTLS(t *testing.T, dir, addr string, more ...string) (*process, string) {
	t.Helper()
	args := append([]string{"--addr", addr, "--linger-timeout", "100ms"}, tlsFlags(dir)...)
	p := start(t, append(args, more...)...)
	return p, p.await(t, "state", "serving")["addr"].(string)
}

// shownSerial is the serial number of the certificate that addr shows.
func shownSerial(t *testing.T, addr string) int64 {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	must(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestAPairThatCannotBeUsedIsAConfigurationError(t *testing.T) {
	one, other := newKeyPair(t, 1), newKeyPair(t, 2)
	for name, test := range map[string]struct {
		spoil func(t *testing.T, cert, key string)
		why   string
	}{
		"do not match":   {func(t *testing.T, _, key string) { overwrite(t, key, other.key) }, "does not match"},
		"no certificate": {func(t *testing.T, cert, _ string) { must(t, os.Remove(cert)) }, "no such file"},
		"no key":         {func(t *testing.T, _, key string) { must(t, os.Remove(key)) }, "no such file"},
		"half a key":     {func(t *testing.T, _, key string) { overwrite(t, key, one.key[:len(one.key)/2]) }, "PEM"},
		"empty":          {func(t *testing.T, cert, _ string) { overwrite(t, cert, nil) }, "PEM"},
		"unreadable": {func(t *testing.T, cert, _ string) {
			must(t, os.Remove(cert))
			must(t, os.Mkdir(cert, 0o700))
		}, "is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			one.in(t, dir)
			cert, key := filepath.Join(dir, certName), filepath.Join(dir, keyName)
			test.spoil(t, cert, key)
			got := call(nil, append([]string{"serve", "--addr", "127.0.0.1:0"}, tlsFlags(dir)...)...)
			if got.code != exitConfig {
				t.Errorf("exit code %d, want %d", got.code, exitConfig)
			}
			contains(t, got.stderr, "tls-cert (flag --tls-cert)", cert, key, test.why)
		})
	}
}

// swap puts a link to where in the place of the one at path, in one step.
func swap(t *testing.T, where, path string) {
	t.Helper()
	must(t, os.Symlink(where, path+"_tmp"))
	must(t, os.Rename(path+"_tmp", path))
}

// change is a way in which files get another content.
type change struct {
	prepare func(t *testing.T, dir string)
	make    func(t *testing.T, dir, n string, pair keyPair) // n is another one each time
}

func waysToChange() map[string]change {
	return map[string]change{
		"written over": {
			func(*testing.T, string) {},
			func(t *testing.T, dir, _ string, pair keyPair) { pair.in(t, dir) },
		},
		"renamed over": {
			func(*testing.T, string) {},
			func(t *testing.T, dir, n string, pair keyPair) {
				pair.in(t, filepath.Join(dir, n))
				for _, name := range []string{certName, keyName} {
					must(t, os.Rename(filepath.Join(dir, n, name), filepath.Join(dir, name)))
				}
			},
		},
		"as Kubernetes does": { // tls.crt -> ..data/tls.crt, ..data -> ..2
			func(t *testing.T, dir string) {
				must(t, os.Symlink("..data/"+certName, filepath.Join(dir, certName)))
				must(t, os.Symlink("..data/"+keyName, filepath.Join(dir, keyName)))
			},
			func(t *testing.T, dir, n string, pair keyPair) {
				data := filepath.Join(dir, "..data")
				before, _ := filepath.EvalSymlinks(data)
				pair.in(t, filepath.Join(dir, ".."+n))
				swap(t, ".."+n, data)
				if before != "" {
					must(t, os.RemoveAll(before))
				}
			},
		},
		"as certbot does": { // live/tls.crt -> ../archive/2/tls.crt
			func(t *testing.T, dir string) { must(t, os.Mkdir(filepath.Join(dir, "live"), 0o700)) },
			func(t *testing.T, dir, n string, pair keyPair) {
				pair.in(t, filepath.Join(dir, "archive", n))
				for _, name := range []string{certName, keyName} {
					swap(t, filepath.Join("..", "archive", n, name), filepath.Join(dir, "live", name))
				}
			},
		},
		"a link further up": { // live -> /…/2
			func(*testing.T, string) {},
			func(t *testing.T, dir, n string, pair keyPair) {
				pair.in(t, filepath.Join(dir, n))
				swap(t, filepath.Join(dir, n), filepath.Join(dir, "live"))
			},
		},
		"behind a link": { // live/tls.crt -> ../files/tls.crt, which is written over
			func(t *testing.T, dir string) {
				must(t, os.Mkdir(filepath.Join(dir, "live"), 0o700))
				for _, name := range []string{certName, keyName} {
					swap(t, filepath.Join("..", "files", name), filepath.Join(dir, "live", name))
				}
			},
			func(t *testing.T, dir, _ string, pair keyPair) { pair.in(t, filepath.Join(dir, "files")) },
		},
	}
}

func TestAChangedCertificateIsShownWithoutARestart(t *testing.T) {
	for name, way := range waysToChange() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			way.prepare(t, dir)
			way.make(t, dir, "1", newKeyPair(t, 1))
			p, addr := startTLS(t, certDir(dir), "127.0.0.1:0")
			wantSerial(t, p, addr, 1)
			for serial := int64(2); serial <= 3; serial++ { // what has to be watched moves, too
				way.make(t, dir, strconv.FormatInt(serial, 10), newKeyPair(t, serial))
				wantSerial(t, p, addr, serial)
			}
		})
	}
}

// certDir is dir, or the folder or link in it that is named live.
func certDir(dir string) string {
	below := filepath.Join(dir, "live")
	if _, err := os.Lstat(below); err != nil {
		return dir
	}
	return below
}

// wantSerial waits for the log to name a certificate in use, and sees that it is shown.
func wantSerial(t *testing.T, p *process, addr string, serial int64) {
	t.Helper()
	line := p.await(t, "certificate", "")
	for line["level"] == "ERROR" { // we may look between the writing of one file and of the other
		line = p.await(t, "certificate", "")
	}
	if line["serial"] != big.NewInt(serial).Text(16) || line["subject"] != "CN=overlap test" || line["expires"] == nil {
		t.Errorf("logged %v, want serial %d", line, serial)
	}
	if got := shownSerial(t, addr); got != serial {
		t.Errorf("serial %d is shown, want %d", got, serial)
	}
}

func TestABrokenPairIsReportedAndTheOldOneStaysInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newKeyPair(t, 1).in(t, dir)
	p, addr := startTLS(t, dir, "127.0.0.1:0")
	wantSerial(t, p, addr, 1)
	next := newKeyPair(t, 2)
	cert, key := filepath.Join(dir, certName), filepath.Join(dir, keyName)
	for _, broken := range []struct {
		name string
		how  func()
		why  string
	}{
		{"do not match", func() { overwrite(t, cert, next.cert) }, "does not match"},
		{"half-written", func() { overwrite(t, key, next.key[:40]) }, "PEM"},
		{"gone", func() { must(t, os.Remove(key)) }, "no such file"},
	} {
		broken.how()
		line := p.await(t, "certificate", "")
		if line["level"] != "ERROR" {
			t.Errorf("%s: logged %v", broken.name, line)
			continue
		}
		contains(t, line["error"].(string), cert, key, broken.why)
		if got := shownSerial(t, addr); got != 1 {
			t.Errorf("%s: serial %d is shown, want the old one", broken.name, got)
		}
	}
	overwrite(t, key, next.key)
	wantSerial(t, p, addr, 2)
}

func TestNobodySpeaksLessThanTLS12(t *testing.T) {
	t.Setenv("GODEBUG", "tls10server=1")
	dir := t.TempDir()
	newKeyPair(t, 1).in(t, dir)
	_, addr := startTLS(t, dir, "127.0.0.1:0")
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version})
		if got := err == nil; got != want {
			t.Errorf("%s is spoken: %v, want %v (%v)", tls.VersionName(version), got, want, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

// newClient is a client that speaks one protocol and keeps to itself.
func newClient(t testing.TB, speak func(*http.Protocols)) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		Protocols:       new(http.Protocols),
	}
	speak(transport.Protocols)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 15 * time.Second}
}

func http1(p *http.Protocols) { p.SetHTTP1(true) }
func http2(p *http.Protocols) { p.SetHTTP2(true) }
func h2c(p *http.Protocols)   { p.SetUnencryptedHTTP2(true) }

func TestOneInstanceServesInClearAndUnderTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newKeyPair(t, 1).in(t, dir)
	p := start(t, append(tlsFlags(dir), "--addr", "http://127.0.0.1:0", "--addr", "127.0.0.1:0",
		"--h2c", "--release", "v1", "--linger-timeout", "100ms")...)
	urls := split(p.await(t, "state", "serving")["url"].(string))
	for _, test := range []struct {
		name  string
		url   string
		speak func(*http.Protocols)
		proto string
	}{
		{"in clear", urls[0], http1, "HTTP/1.1"},
		{"in clear, HTTP/2", urls[0], h2c, "HTTP/2.0"},
		{"TLS", urls[1], http1, "HTTP/1.1"},
		{"TLS, HTTP/2", urls[1], http2, "HTTP/2.0"},
	} {
		client := newClient(t, test.speak)
		resp, err := client.Get(test.url + "/")
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "hello from v1\n" || err != nil || resp.Proto != test.proto {
			t.Errorf("%s: answered %q, %v by %s", test.name, body, err, resp.Proto)
		}
		if line := p.await(t, "request", ""); line["proto"] != test.proto {
			t.Errorf("%s: logged %v", test.name, line)
		}
		client.CloseIdleConnections()
	}
	p.signal(t, syscall.SIGTERM)
	if verdict := p.await(t, "verdict", ""); verdict["requests"] != 4.0 || verdict["cut"] != 0.0 {
		t.Errorf("verdict %v", verdict)
	}
	for _, url := range urls {
		if c, err := net.Dial("tcp", hostport(url)); err == nil {
			c.Close()
			t.Errorf("somebody listens on %s after the verdict", url)
		}
	}
	if code := p.exit(t); code != exitDrained {
		t.Errorf("exit code %d", code)
	}
}

// split parts what the log says of several addresses; hostport is one of them.
func split(urls string) []string { return strings.Split(urls, ",") }

func hostport(url string) string { return url[strings.LastIndex(url, "/")+1:] }
