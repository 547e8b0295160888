// The whole explorer; its state is in the page's address.
import { addressed } from "../explorer/address.js";
import { saes } from "../explorer/saes.js";

addressed(document.getElementById("explorer"), saes);
