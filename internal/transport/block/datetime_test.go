package block_test

import (
	"errors"
	"testing"
	"time"

	"allium/internal/transport/block"
)

func TestDateTimeIsRoundedToTheNearestSecond(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{now, "0000046553f100"},
		{now.Add(499 * time.Millisecond), "0000046553f100"},
		{now.Add(500 * time.Millisecond), "0000046553f101"},
		{time.Time{}, "00000400000000"},
		{time.Unix(1<<40, 0), "000004ffffffff"},
	} {
		got := block.AppendDateTime(nil, c.at)
		stands(t, got, c.want)
		if len(got) != block.DateTimeSize {
			t.Errorf("%d bytes", len(got))
		}
	}
	got, err := block.ParseDateTime(only(t, block.AppendDateTime(nil, now), block.TypeDateTime))
	if err != nil || got != now {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDateTimeHasFourBytes(t *testing.T) {
	for _, n := range []int{0, 3, 5} {
		if _, err := block.ParseDateTime(make([]byte, n)); !errors.Is(err, block.ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
