import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { page } from "./state/page";
import "uplot/dist/uPlot.min.css";
import "./style/tokens.css";
import "./style/base.css";
import "./style/masthead.css";
import "./style/launch.css";
import "./style/runs.css";
import "./style/panel.css";
import "./style/pools.css";
import "./style/log.css";

const root = document.getElementById("page");
if (root) {
  page.start();
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
