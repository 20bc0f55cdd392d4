package main

import (
	"fmt"
	"log"
	"os"

	"github.com/r3labs/sse/v2"
)

func main() {
	client := sse.NewClient(os.Args[1])
	err := client.SubscribeRaw(func(event *sse.Event) {
		if len(event.Event) == 0 { // others are weir.open, weir.goodbye …
			fmt.Println(string(event.Data))
		}
	})
	log.Fatal(err)
}
