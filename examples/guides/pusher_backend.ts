const response = await fetch("http://127.0.0.1:8000/v1/channels/orders/events", {
  method: "POST",
  headers: { "Content-Type": "application/json", "Weir-Type": "created" },
  body: JSON.stringify({ id: 7, total: 40 }),
});
if (!response.ok) throw new Error(await response.text());
