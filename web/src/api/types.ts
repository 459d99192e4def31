/** What the gateway answers, as far as the page reads it. Times are RFC 3339, money is decimal text. */

export interface App {
  name: string;
  title: string;
  pools: string[];
  warm: number;
}

export interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
  lastTransitionTime: string;
}

export interface Cost {
  usd_per_hour: string;
  /** The part of it that is paid for sandboxes which nobody holds. */
  unused_usd_per_hour: string;
  /** To date; users only. */
  spent_usd?: string;
}

export interface Pool {
  name: string;
  apps: string[];
  target: number;
  desired: number;
  ready: number;
  creating: number;
  claimed: number;
  failed: number;
  total: number;
  queued: number;
  max: number;
  claims_warm: number;
  claims_cold: number;
  hit_rate: number | null;
  /** From a sandbox's creation until it can be used; null before one is known. */
  lead_time_seconds: number | null;
  available: boolean;
  cost?: Cost | null;
  /** Users only. */
  conditions?: Condition[];
}

export type RunState = "queued" | "acquiring" | "launching" | "running" | "hibernated" | "failed" | "stopping" | "ended";

export interface Timings {
  acquire_ms: number | null;
  files_ms: number | null;
  install_ms: number | null;
  start_ms: number | null;
  answer_ms: number | null;
  total_ms: number | null;
}

export interface Run {
  run_id: string;
  status: RunState;
  app: string | null;
  pool: string;
  holder: string;
  ingress_url: string | null;
  created_at: string;
  claimed_at: string | null;
  expires_at: string | null;
  ended_at: string | null;
  reason: string | null;
  message: string | null;
  queue_position: number | null;
  start: "Warm" | "Cold" | null;
  timings: Timings;
}

export interface Entry {
  run_id: string;
  number: number;
  time: string;
  message: string;
  warning: boolean;
}

/** The last event of a stream. */
export interface End {
  run_id: string;
  status: RunState;
  reason?: string;
  message?: string;
}

export interface Launched {
  run_id: string;
  status: RunState;
}

export type Way = "warm" | "cold";
