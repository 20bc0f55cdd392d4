package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

var after = "latest"

func main() {
	for {
		read(context.Background())
		time.Sleep(time.Second)
	}
}

// read prints events until the connection ends.
func read(ctx context.Context) error {
	socket, _, err := websocket.Dial(ctx, os.Args[1], nil)
	if err != nil {
		return err
	}
	defer socket.CloseNow()
	subscribe := map[string]any{"op": "subscribe", "ref": 1, "channel": "numbers", "after": after}
	if err := wsjson.Write(ctx, socket, subscribe); err != nil {
		return err
	}
	for {
		var message struct {
			Op, Offset string
			Data       json.RawMessage
		}
		if err := wsjson.Read(ctx, socket, &message); err != nil {
			return err
		}
		if message.Offset != "" {
			after = message.Offset
		}
		if message.Op == "event" {
			fmt.Println(string(message.Data))
		}
	}
}
