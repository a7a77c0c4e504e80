package systemd

import (
	"os"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

func TestMain(m *testing.M) { os.Exit(recipe.Main(m)) }

const url = "http://127.0.0.1:8080"

func TestBoot(t *testing.T) {
	s := recipe.BootSystemd(t)
	recipe.Type(t, "Install")
	load := recipe.StartLoad(t, url)
	s.Systemctl("status", "--no-pager", "overlap@v1")
	recipe.Shell(t, "ss -ltnp; "+recipe.Server+" status;"+recipe.Server+" doctor || true")
	recipe.Type(t, "Upgrade")
	recipe.Type(t, "Roll back")
	load.StopLossless("v1", "v2")
	recipe.Shell(t, "journalctl --no-pager; systemctl list-units --all 'overlap*' --no-pager")

	recipe.Shell(t, recipe.Server+" upgrade --release v2 -- systemctl start overlap@v2; systemctl --no-pager status 'overlap@*'; journalctl --no-pager -u overlap@v2 | tail -n 5")
	recipe.Shell(t, "systemctl reload overlap@v2 || true; systemctl kill --signal=HUP overlap@v2; sleep 0.3; journalctl --no-pager -u overlap@v2 | tail -n 5")

	recipe.Shell(t, "mkdir -p /etc/systemd/system/overlap@.service.d; cp port-80.conf /etc/systemd/system/overlap@.service.d; systemctl daemon-reload; systemctl start overlap@v1; sleep 0.3; curl -s 127.0.0.1; systemctl --no-pager status 'overlap@v1'")
	recipe.Shell(t, "grep -v ^# /etc/overlap/overlap.env")
}

func TestAuto(t *testing.T) {
	recipe.BootSystemd(t)
	recipe.Shell(t, `rm /etc/systemd/system/overlap@.service.d/port-80.conf
install auto-retire.sh /opt/overlap; 
cp auto-retire.conf /etc/systemd/system/overlap@.service.d; systemctl daemon-reload
install -D -t /opt/overlap/releases/v3 server
systemctl start overlap@v1
time systemctl start overlap@v3
systemctl list-units --no-pager --all 'overlap*' 
journalctl --no-pager -u overlap@v3
journalctl --no-pager -u overlap@v1
ls /etc/systemd/system/multi-user.target.wants
systemctl start overlap@v2 & 
systemctl start overlap@v1 || true
wait
systemctl list-units --no-pager --all 'overlap*' 
journalctl --no-pager -u overlap@v2
journalctl --no-pager -u overlap@v1
ls /etc/systemd/system/multi-user.target.wants
`)
}
func TestSub(t *testing.T) {
	recipe.BootSystemd(t)
	recipe.Shell(t, `rm /etc/systemd/system/overlap@.service.d/*
printf '[Service]\nProcSubset=pid\n' >/etc/systemd/system/overlap@.service.d/x.conf; systemctl daemon-reload
systemctl start overlap@v1
ss -ltn
systemctl start overlap@v2
systemctl stop overlap@v1
journalctl --no-pager -u overlap@v1
rm /etc/systemd/system/overlap@.service.d/*
printf '[Service]\nExecStartPre=/bin/sh -c "exit 78"\n' >/etc/systemd/system/overlap@.service.d/x.conf; systemctl daemon-reload
systemctl start overlap@v1 || true
sleep 5
journalctl --no-pager -u overlap@v1
rm /etc/systemd/system/overlap@.service.d/*
cp /etc/systemd/system/overlap@.service /etc/systemd/system/overlap-green.service
sed -i s/%i/v1/g /etc/systemd/system/overlap-green.service
systemctl daemon-reload
systemctl start overlap-green || true
journalctl --no-pager -u overlap-green 
`)
}
