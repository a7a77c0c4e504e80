package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
)

const ticketKeysHelp = `Make and change the file that "server serve --tls-ticket-keys" reads.

It has one key a line, 32 random bytes in base64, and lines that begin with #. The
first key encrypts, all of them decrypt. Nobody but its owner may read it.`

const rotateHelp = `Put a new key in front, keep the newest few, and drop the rest. A FILE that is not
there is made.

Instances that serve read the file again when it changes; none has to be restarted
or told. The new file takes the place of the old one in one step, with its owner, so
that no instance ever sees half of it. Two rotations at once: the second one is
refused. Comments are not kept.

A ticket can be resumed until its key is dropped: with --keep 3 and a rotation each
day for two to three days, with --ahead for one to two. Who comes later makes a full
handshake again, and that is all.

Several hosts: a key must be known everywhere before anybody encrypts with it. All
instances of one host see the file within a fraction of a second, so there is nothing
to do. A file that is copied to other hosts arrives at each at another time: rotate
with --ahead there, always: it takes the second key for the one that the last rotation
made. The new key then comes second, where it only decrypts, and the one that was
second goes first. The copies have until the next rotation to arrive.

For a key that has leaked, rotate with --keep 1.`

const rotateExample = `  # Once: make the file, and serve with it.
  server ticket-keys rotate /etc/app/ticket-keys
  server serve --addr :8443 --tls-cert cert.pem --tls-key key.pem --tls-ticket-keys /etc/app/ticket-keys

  # Each day, by cron, as the owner of the file:
  17 3 * * *  server ticket-keys rotate /etc/app/ticket-keys

  # Or by systemd, app-ticket-keys.service and app-ticket-keys.timer:
  [Service]
  Type=oneshot
  User=app
  ExecStart=/usr/local/bin/server ticket-keys rotate /etc/app/ticket-keys

  [Timer]
  OnCalendar=daily
  Persistent=true
  [Install]
  WantedBy=timers.target

  # For several hosts, on one of them:
  server ticket-keys rotate --ahead ticket-keys && ansible app -m copy -a '...'`

func newTicketKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ticket-keys",
		Short: "Make and change the keys that let TLS sessions outlive an upgrade",
		Long:  ticketKeysHelp,
		Args:  cobra.ArbitraryArgs,
		RunE:  noVerb,
	}
	cmd.AddCommand(newRotate())
	return cmd
}

func newRotate() *cobra.Command {
	var r rotation
	cmd := &cobra.Command{
		Use:     "rotate FILE",
		Short:   "Put a new key in front, and drop the oldest",
		Long:    rotateHelp,
		Example: rotateExample,
		Args:    oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.validate(); err != nil {
				return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
			}
			did, err := r.rotate(args[0])
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), did)
			}
			return err
		},
	}
	cmd.Flags().IntVar(&r.keep, "keep", 3, "how many `keys` there are after it, at most")
	cmd.Flags().BoolVar(&r.ahead, "ahead", false, "the new key comes second and encrypts from the next rotation on: for several hosts")
	return cmd
}

// rotation is one change of the keys in a file.
type rotation struct {
	keep  int
	ahead bool // the new key is made known before it is used
}

func (r rotation) validate() error {
	switch {
	case r.keep < 1:
		return fmt.Errorf("--keep %d: at least 1", r.keep)
	case r.ahead && r.keep < 3:
		return fmt.Errorf("--keep %d: at least 3 with --ahead, the key that encrypts, the next one and the one before", r.keep)
	}
	return nil
}

// rotate changes the file at path, or makes it, and says what it did.
func (r rotation) rotate(path string) (did string, err error) {
	path, err = target(path)
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("rotate %s: %w", path, err)
	}
	defer unlock()
	old, err := readTicketKeys(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err // what is not understood is not thrown away
	}
	keys := r.next(old)
	if err := replaceFile(path, formatTicketKeys(keys)); err != nil {
		return "", fmt.Errorf("rotate %s: %w", path, err)
	}
	return r.report(path, old, keys), nil
}

// target follows symbolic links, so that it is the file that is replaced.
func target(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("rotate %s: it is a symbolic link to nowhere", path)
	}
	return path, nil
}

// next returns the keys that come after old.
func (r rotation) next(old []ticketKey) []ticketKey {
	keys := slices.Concat([]ticketKey{newTicketKey()}, old)
	switch {
	case r.ahead && len(old) == 0:
		keys = append(keys, newTicketKey())
	case r.ahead && len(old) == 1:
		keys[0], keys[1] = keys[1], keys[0]
	case r.ahead: // new, now, next, … becomes next, new, now, …
		keys[0], keys[1], keys[2] = keys[2], keys[0], keys[1]
	}
	return keys[:min(len(keys), r.keep)]
}

func newTicketKey() (key ticketKey) {
	rand.Read(key[:]) // it never fails
	return key
}

func (r rotation) report(path string, old, keys []ticketKey) string {
	verb := "changed"
	if len(old) == 0 {
		verb = "made"
	}
	kept := 0
	for _, key := range old {
		if slices.Contains(keys, key) {
			kept++
		}
	}
	text := fmt.Sprintf("%s: %s: %d new, %d kept, %d dropped; %s encrypts",
		path, verb, len(keys)-kept, kept, len(old)-kept, fingerprint(keys[0][:]))
	if r.ahead {
		text += fmt.Sprintf(", %s will from the next rotation on", fingerprint(keys[1][:]))
	}
	return text
}

// replaceFile puts text in the place of the file at path, or where there is none, in
// one step that outlives a crash. It is its owner's alone.
func replaceFile(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(text)
	if err := errors.Join(err, keepOwner(tmp, path), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}
