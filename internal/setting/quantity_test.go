package setting_test

import (
	"testing"
	"time"

	"allium/internal/setting"
)

func TestSizeReadsUnits(t *testing.T) {
	for text, want := range map[string]setting.Size{
		"0": 0, "7": 7, "7 B": 7, "20MB": 20e6, "20 mb": 20e6, "256 KiB": 256 << 10, "1.5 GB": 1.5e9, "0.3 KB": 300,
		"1TiB": 1 << 40, "9223372036854775807": 1<<63 - 1, "1.0 MB": 1e6,
	} {
		var got setting.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
		var again setting.Size
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q: writes %q, which reads as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "MB", "-1", "+1", "1 XB", "1 MB MB", "1e3", "0x10", "1.2.3", ".", "1 MB ", "9223372036854775808", "9000000 TiB", "8388608.5 TiB", "1 Mb/s"} {
		var got setting.Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func TestBandwidthCountsKilobytes(t *testing.T) {
	for text, want := range map[string]setting.Bandwidth{
		"256": 256e3, "0": 0, "1.5": 1500, "2 MB/s": 2e6, "2MiB/s": 2 << 20, "64 kB/s": 64e3, "16 Mbit/s": 2e6, "8 kbit/s": 1e3,
	} {
		var got setting.Bandwidth
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"2 MB", "2 Mb/s", "2 mb/s", "2 mbit/s", "-2"} {
		var got setting.Bandwidth
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func TestQuantitiesAreWrittenShort(t *testing.T) {
	for want, got := range map[string]string{
		"20 MB": setting.Size(20e6).String(), "1025 B": setting.Size(1025).String(), "1 MiB": setting.Size(1 << 20).String(),
		"1536 KiB": setting.Size(1536 << 10).String(), "125 KB/s": setting.Bandwidth(125e3).String(), "256 KB/s": setting.Bandwidth(256e3).String(),
		"1000 MiB": setting.Size(1000 << 20).String(), "0": setting.Bandwidth(0).String(),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestDurationsAreWrittenShort(t *testing.T) {
	type config struct {
		A time.Duration `help:"x"`
	}
	for text, want := range map[string]string{
		"0s": "0s", "90s": "1m30s", "60m": "1h", "10m0s": "10m", "36h": "36h", "48h": "2d", "30d": "30d", "-1d": "-1d", "1500ms": "1.5s", "2h5s": "2h0m5s", "20s": "20s",
	} {
		var c config
		if err := setting.Set(&c, "a", text); err != nil {
			t.Error(err)
		}
		if got := setting.Describe(c)[0].Value; got != want {
			t.Errorf("%s is written %s, want %s", text, got, want)
		}
		if err := setting.Set(&c, "a", want); err != nil {
			t.Error(err)
		}
	}
	for _, text := range []string{"1.5d", "d", "1", "", "106752d", "300y", "-9223372036854775808d"} {
		if setting.Set(&config{}, "a", text) == nil {
			t.Errorf("%q is read", text)
		}
	}
}
