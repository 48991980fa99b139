// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What makes the kernel's gpio-sim behave as the header of a Raspberry Pi. build_modules.sh includes this file
 * into gpio-sim.c and puts these operations in the place of the stock ones.
 *
 *  - A released output goes on driving its level (persist=Y, the Pi's default since its kernel 6.6: see
 *    persist_gpio_outputs in pinctrl-bcm2835.c), or becomes an input again (persist=N, "dtparam=strict_gpiod").
 *    Stock gpio-sim calls it an output still, at the level of its pull.
 *  - The attribute "pull" is what the world outside connects: a contact ("pull-down", "pull-up") or nothing
 *    ("floating"). A contact is stronger than the bias that a program asks for; stock gpio-sim lets the last win.
 *  - GPIO 0 to 8 have a pull-up from power-on, the others a pull-down (data sheet "BCM2711 ARM peripherals").
 *  - Each write of a level goes, in order and with its time, into the trace buffer: nothing is too short to see.
 */

static bool persist = true;
module_param(persist, bool, 0644);
MODULE_PARM_DESC(persist, "A released output goes on driving its level, as on a Raspberry Pi");

#define PI_FLOATING 2
#define PI_LAST_PULLED_UP 8

static bool pi_drives(struct gpio_sim_chip *chip, unsigned int offset)
{
	return !test_bit(offset, chip->direction_map);
}

/* The lock is held by whoever calls, here and below: the record is in the order of what happened. */
static void pi_assign(struct gpio_sim_chip *chip, unsigned int offset, bool level)
{
	__assign_bit(offset, chip->value_map, level);
	trace_printk("reed_line %u %s %d\n", offset, pi_drives(chip, offset) ? "out" : "in", level);
}

static void pi_interrupt(struct gpio_sim_chip *chip, unsigned int offset, bool level)
{
	int irq = test_bit(offset, chip->request_map) ? irq_find_mapping(chip->irq_sim, offset) : 0;

	if (irq && irq_get_trigger_type(irq) & (level ? IRQ_TYPE_EDGE_RISING : IRQ_TYPE_EDGE_FALLING))
		irq_set_irqchip_state(irq, IRQCHIP_STATE_PENDING, true);
}

/* An input follows the world outside, else its bias. */
static void pi_settle(struct gpio_sim_chip *chip, unsigned int offset)
{
	bool level = test_bit(offset, test_bit(offset, chip->held_map) ? chip->outside_map : chip->bias_map);

	__assign_bit(offset, chip->pull_map, level);
	if (pi_drives(chip, offset) || level == test_bit(offset, chip->value_map))
		return;
	pi_assign(chip, offset, level);
	pi_interrupt(chip, offset, level);
}

static int pi_pull(struct gpio_sim_chip *chip, unsigned int offset, int pull)
{
	guard(mutex)(&chip->lock);
	__assign_bit(offset, chip->held_map, pull != PI_FLOATING);
	__assign_bit(offset, chip->outside_map, pull == 1);
	pi_settle(chip, offset);
	return 0;
}

static int pi_set_config(struct gpio_chip *gc, unsigned int offset, unsigned long config)
{
	struct gpio_sim_chip *chip = gpiochip_get_data(gc);
	enum pin_config_param wish = pinconf_to_config_param(config);

	if (wish != PIN_CONFIG_BIAS_PULL_UP && wish != PIN_CONFIG_BIAS_PULL_DOWN)
		return -ENOTSUPP;
	guard(mutex)(&chip->lock);
	__assign_bit(offset, chip->bias_map, wish == PIN_CONFIG_BIAS_PULL_UP);
	pi_settle(chip, offset);
	return 0;
}

static void pi_set(struct gpio_chip *gc, unsigned int offset, int value)
{
	struct gpio_sim_chip *chip = gpiochip_get_data(gc);

	guard(mutex)(&chip->lock);
	pi_assign(chip, offset, value);
}

static void pi_set_multiple(struct gpio_chip *gc, unsigned long *mask, unsigned long *bits)
{
	struct gpio_sim_chip *chip = gpiochip_get_data(gc);
	unsigned int offset;

	guard(mutex)(&chip->lock);
	for_each_set_bit(offset, mask, gc->ngpio)
		pi_assign(chip, offset, test_bit(offset, bits));
}

static int pi_direction_output(struct gpio_chip *gc, unsigned int offset, int value)
{
	struct gpio_sim_chip *chip = gpiochip_get_data(gc);

	guard(mutex)(&chip->lock);
	__clear_bit(offset, chip->direction_map);
	pi_assign(chip, offset, value);
	return 0;
}

static void pi_to_input(struct gpio_sim_chip *chip, unsigned int offset)
{
	bool drove = pi_drives(chip, offset);

	__set_bit(offset, chip->direction_map);
	if (drove)
		pi_assign(chip, offset, test_bit(offset, chip->pull_map));
}

static int pi_direction_input(struct gpio_chip *gc, unsigned int offset)
{
	struct gpio_sim_chip *chip = gpiochip_get_data(gc);

	guard(mutex)(&chip->lock);
	pi_to_input(chip, offset);
	return 0;
}

static void pi_free(struct gpio_chip *gc, unsigned int offset)
{
	struct gpio_sim_chip *chip = gpiochip_get_data(gc);

	guard(mutex)(&chip->lock);
	__clear_bit(offset, chip->request_map);
	if (!persist)
		pi_to_input(chip, offset);
}

static void pi_power_on(struct gpio_sim_chip *chip)
{
	unsigned int offset;

	guard(mutex)(&chip->lock);
	for (offset = 0; offset < chip->gc.ngpio; offset++) {
		__assign_bit(offset, chip->bias_map, offset <= PI_LAST_PULLED_UP);
		pi_settle(chip, offset);
	}
}

static void pi_take_over(struct gpio_sim_chip *chip)
{
	struct gpio_chip *gc = &chip->gc;

	gc->set = pi_set;
	gc->set_multiple = pi_set_multiple;
	gc->direction_output = pi_direction_output;
	gc->direction_input = pi_direction_input;
	gc->set_config = pi_set_config;
	gc->free = pi_free;
	pi_power_on(chip);
}
