//! Instance sizes, prices and regions as the real cloud lists them.
//!
//! Source: the examples `instance_sizes` and `regions` of the official API
//! description, read August 2026. A billed month has 28 days.

use serde_json::{Value, json};

/// One instance size.
#[derive(Debug, PartialEq)]
pub struct Size {
    /// Name in specs, such as `apps-s-1vcpu-1gb`.
    pub slug: &'static str,
    dedicated: bool,
    cpus: u32,
    memory_mib: u64,
    /// Price of one instance in USD per 28 days.
    pub usd_per_month: u32,
    /// Price of one instance in USD per second, as the API writes it.
    pub usd_per_second: &'static str,
    bandwidth_gib: u32,
    /// The size refuses more than one instance.
    pub single_instance_only: bool,
}

macro_rules! size {
    ($slug:literal, $dedicated:literal, $cpus:literal, $mib:literal, $month:literal, $second:literal, $gib:literal, $single:literal) => {
        Size {
            slug: $slug,
            dedicated: $dedicated,
            cpus: $cpus,
            memory_mib: $mib,
            usd_per_month: $month,
            usd_per_second: $second,
            bandwidth_gib: $gib,
            single_instance_only: $single,
        }
    };
}

/// Every size, cheapest shared first.
pub const SIZES: [Size; 14] = [
    size!("apps-s-1vcpu-0.5gb", false, 1, 512, 5, "0.000002066799", 50, true),
    size!("apps-s-1vcpu-1gb-fixed", false, 1, 1024, 10, "0.000004133598", 100, true),
    size!("apps-s-1vcpu-1gb", false, 1, 1024, 12, "0.000004960317", 150, false),
    size!("apps-s-1vcpu-2gb", false, 1, 2048, 25, "0.000010333995", 200, false),
    size!("apps-s-2vcpu-4gb", false, 2, 4096, 50, "0.000020667989", 250, false),
    size!("apps-d-1vcpu-0.5gb", true, 1, 512, 29, "0.000011987434", 100, false),
    size!("apps-d-1vcpu-1gb", true, 1, 1024, 34, "0.000014054233", 200, false),
    size!("apps-d-1vcpu-2gb", true, 1, 2048, 39, "0.000016121032", 300, false),
    size!("apps-d-1vcpu-4gb", true, 1, 4096, 49, "0.000020254630", 400, false),
    size!("apps-d-2vcpu-4gb", true, 2, 4096, 78, "0.000032242063", 500, false),
    size!("apps-d-2vcpu-8gb", true, 2, 8192, 98, "0.000040509259", 600, false),
    size!("apps-d-4vcpu-8gb", true, 4, 8192, 156, "0.000064484127", 700, false),
    size!("apps-d-4vcpu-16gb", true, 4, 16384, 196, "0.000081018519", 800, false),
    size!("apps-d-8vcpu-32gb", true, 8, 32768, 392, "0.000162037037", 900, false),
];

/// The size a component has that names none.
pub const DEFAULT_SIZE: &str = "apps-s-1vcpu-0.5gb";

/// Finds a size by its slug.
pub fn size(slug: &str) -> Option<&'static Size> {
    SIZES.iter().find(|size| size.slug == slug)
}

impl Size {
    /// Price of one instance in USD per second.
    pub fn per_second(&self) -> f64 {
        self.usd_per_second.parse().unwrap_or_default()
    }

    /// The size as `apps_instance_size` of the API.
    pub fn to_wire(&self) -> Value {
        let kind = if self.dedicated { "Dedicated" } else { "Shared" };
        let memory = self.memory_mib as f64 / 1024.0;
        let mut wire = json!({
            "name": format!("{kind} {}VCPU {memory}GB", self.cpus),
            "slug": self.slug,
            "cpu_type": if self.dedicated { "DEDICATED" } else { "SHARED" },
            "cpus": self.cpus.to_string(),
            "memory_bytes": (self.memory_mib << 20).to_string(),
            "usd_per_month": format!("{}.00", self.usd_per_month),
            "usd_per_second": self.usd_per_second,
            "tier_slug": if self.single_instance_only { "basic" } else { "professional" },
            "bandwidth_allowance_gib": self.bandwidth_gib.to_string(),
        });
        if self.dedicated {
            wire["scalable"] = true.into();
        }
        if self.single_instance_only {
            wire["single_instance_only"] = true.into();
        }
        wire
    }
}

/// Region slug, label, country flag, continent and data centres.
type Region = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

/// Every region an app spec may name.
const REGIONS: [Region; 10] = [
    ("ams", "Amsterdam", "netherlands", "Europe", &["ams3"]),
    ("nyc", "New York", "usa", "North America", &["nyc1", "nyc3"]),
    ("fra", "Frankfurt", "germany", "Europe", &["fra1"]),
    ("sfo", "San Francisco", "usa", "North America", &["sfo3"]),
    ("sgp", "Singapore", "singapore", "Asia", &["sgp1"]),
    ("blr", "Bangalore", "india", "Asia", &["blr1"]),
    ("tor", "Toronto", "canada", "North America", &["tor1"]),
    ("lon", "London", "uk", "Europe", &["lon1"]),
    ("syd", "Sydney", "australia", "Australia", &["syd1"]),
    ("atl", "Atlanta", "usa", "North America", &["atl1"]),
];

/// The region of an app that names none.
pub const DEFAULT_REGION: &str = "nyc";

/// The slug of a region given as slug or as data centre (`nyc` or `nyc1`).
pub fn region_slug(given: &str) -> Option<&'static str> {
    let short = given.trim_end_matches(|letter: char| letter.is_ascii_digit());
    REGIONS.iter().map(|region| region.0).find(|slug| *slug == short)
}

/// All region slugs, for messages.
pub fn region_slugs() -> String {
    REGIONS.map(|region| region.0).join(", ")
}

/// A region as `apps_region` of the API.
pub fn region_to_wire(slug: &str) -> Option<Value> {
    let region = REGIONS.iter().find(|region| region.0 == slug)?;
    let (slug, label, flag, continent, data_centers) = region;
    let mut wire = json!({
        "slug": slug, "label": label, "flag": flag, "continent": continent, "data_centers": data_centers,
    });
    if *slug == DEFAULT_REGION {
        wire["default"] = true.into();
    }
    Some(wire)
}

/// Every region as the regions endpoint lists them.
pub fn regions_to_wire() -> Vec<Value> {
    REGIONS.iter().filter_map(|region| region_to_wire(region.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_of_seconds_costs_the_monthly_price() {
        for size in &SIZES {
            let month = size.per_second() * 28.0 * 86_400.0;
            assert!((month - f64::from(size.usd_per_month)).abs() < 0.001, "{}: {month}", size.slug);
        }
    }

    #[test]
    fn data_centre_slugs_are_shortened() {
        assert_eq!(region_slug("syd1"), Some("syd"));
        assert_eq!(region_slug("mars"), None);
    }
}
